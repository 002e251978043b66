"""Frames between the gateway and a file worker: lists of byte strings, each with its length.

Stops: a peer that announces more than is allowed, lies about lengths, or leaves bytes over: every such frame is refused
whole. Does not stop: a well-formed frame with nonsense in it; the receiver checks each field. Not JSON, for importing
it would cost every worker about ten milliseconds and a megabyte.
"""

from __future__ import annotations

HEAD = 4
"""Bytes of the length that precedes a body, big endian."""

MAX_FIELDS = 256
"""Most fields of one frame; set-up with all its roots is the longest."""

MAX_CONTROL = 1 << 20
"""Largest set-up or hello body, in bytes."""

OVERHEAD = 64 << 10
"""What a body may hold besides file content: field lengths, two paths, hashes."""


class FrameError(ValueError):
    """A frame that does not parse; nothing of it was used."""


def pack(fields: list[bytes]) -> bytes:
    """Return a frame, head included.

    Raises:
        FrameError: more than :data:`MAX_FIELDS` fields, or a body beyond 2^32-1 bytes.
    """
    if len(fields) > MAX_FIELDS:
        raise FrameError("too many fields")
    length = 2 + 4 * len(fields) + sum(map(len, fields))
    if length > 0xFFFFFFFF:
        raise FrameError("too long")
    head = [length.to_bytes(4, "big"), len(fields).to_bytes(2, "big")]
    return b"".join([*head, *(len(field).to_bytes(4, "big") for field in fields), *fields])


def body_length(untrusted_head: bytes, maximum: int) -> int:
    """Return how many bytes follow the head.

    Raises:
        FrameError: not four bytes, fewer than an empty list needs, or more than ``maximum``.
    """
    length = int.from_bytes(untrusted_head, "big")
    if len(untrusted_head) != HEAD or not 2 <= length <= maximum:
        raise FrameError("length out of range")
    return length


def unpack(untrusted_body: bytes | bytearray) -> list[bytes]:
    """Return the fields of a body.

    Raises:
        FrameError: too many fields, or lengths that do not add up to the body exactly.
    """
    view = memoryview(untrusted_body)
    count = int.from_bytes(view[:2], "big")
    start = 2 + 4 * count
    if len(view) < start or count > MAX_FIELDS:
        raise FrameError("too many fields")
    lengths = [int.from_bytes(view[at : at + 4], "big") for at in range(2, start, 4)]
    if start + sum(lengths) != len(view):
        raise FrameError("lengths do not add up")
    fields = []
    for length in lengths:
        fields.append(bytes(view[start : start + length]))
        start += length
    return fields


def number(untrusted_field: bytes, maximum: int) -> int:
    """Return a decimal number from 0 to ``maximum``, written without sign, space or leading zero.

    Raises:
        FrameError: anything else.
    """
    if not untrusted_field.isdigit() or len(untrusted_field) > 19 or (untrusted_field[:1] == b"0" != untrusted_field):
        raise FrameError("not a number")
    value = int(untrusted_field)
    if value > maximum:
        raise FrameError("number out of range")
    return value


def flag(untrusted_field: bytes) -> bool:
    """Return a truth value, written ``0`` or ``1``.

    Raises:
        FrameError: anything else.
    """
    return number(untrusted_field, 1) == 1


def pairs(untrusted_fields: list[bytes]) -> list[tuple[str, bytes]]:
    """Return ``name=value`` fields as pairs; names are ASCII letters and underscores.

    Raises:
        FrameError: a field without ``=`` or with another kind of name.
    """
    found = []
    for field in untrusted_fields:
        name, equals, value = field.partition(b"=")
        if not equals or not name.replace(b"_", b"").isalpha():
            raise FrameError("not a name and a value")
        found.append((name.decode("ascii"), value))
    return found
