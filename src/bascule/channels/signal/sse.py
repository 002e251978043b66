"""Server-sent events, read from bytes as they come, in pieces of any size. Pure.

Stops: an event so large that it fills the memory (it is skipped to its end and reported), and text that is not UTF-8.
Follows the WHATWG HTML standard, section 9.2.6, as far as signal-cli uses it: ``id``, ``event``, ``data``, comments.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_FRAME = 2 << 20
"""Bytes of one event; a message of Signal's longest text is a tenth of it even when every letter is escaped."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event: ``id`` names the place in the stream, empty if it has none; ``damaged`` says why it is unreadable."""

    id: str
    event: str
    data: str
    damaged: str = ""


@dataclass(slots=True)
class Frames:
    """Collects bytes into events; begin a new one for each connection."""

    _line: bytearray = field(default_factory=bytearray)
    _fields: dict[str, list[bytes]] = field(default_factory=dict)
    _size: int = 0
    _too_long: bool = False

    def feed(self, untrusted_bytes: bytes) -> list[Frame]:
        """Return the events that these bytes complete."""
        found: list[Frame] = []
        *lines, rest = untrusted_bytes.split(b"\n")
        del untrusted_bytes
        for piece in lines:
            self._add(piece)
            frame = self._end_of_line()
            if frame is not None:
                found.append(frame)
        self._add(rest)
        return found

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_FRAME:
            # The rest is only looked at for its end: what was kept so far is let go, the line's beginning too.
            self._too_long = True
            self._fields.clear()
            self._line = bytearray(b":") if self._line or piece.strip(b"\r") else self._line
            return
        self._line += piece

    def _end_of_line(self) -> Frame | None:
        line = bytes(self._line).removesuffix(b"\r")
        self._line.clear()
        if line:
            name, _, value = line.partition(b":")
            if name and not self._too_long:
                self._fields.setdefault(name.decode("ascii", "replace"), []).append(value.removeprefix(b" "))
            elif not name and not self._fields and not self._too_long:
                self._size = 0  # a comment between events, sent to keep the connection alive
            return None
        return self._finished()

    def _finished(self) -> Frame | None:
        fields, too_long = self._fields, self._too_long
        self._fields, self._size, self._too_long = {}, 0, False
        if too_long:
            return Frame("", "", "", "it is too long")
        if "data" not in fields:
            return None
        try:
            place, event = (b"".join(fields.get(name, [])[-1:]).decode("ascii") for name in ("id", "event"))
            return Frame(place if place.isprintable() else "", event, b"\n".join(fields["data"]).decode("utf-8"))
        except UnicodeDecodeError:
            return Frame("", "", "", "it is not UTF-8")
