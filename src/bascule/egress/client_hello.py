"""The first message of TLS, read just far enough to know which host it is for.

Stops: a tunnel opened for one name and used for another: no name, two names, an encrypted name, a name that differs,
plain text, or bytes that are no well-formed ClientHello are refused before anything is connected. Does not stop: asking
the right server, inside the encryption, for another site it also serves.
"""

from __future__ import annotations

from typing import Final

from bascule.core.errors import Malformed

LONGEST: Final = 1 << 16
"""Bytes of a ClientHello, records and all; post-quantum key shares fit several times over."""

MOST_RECORDS: Final = 128
"""Records it may come in: one or two by the book, some dozens from what wants to slip past filters. All of them are
read again whenever another piece has come, so each must be worth it."""

_RECORD: Final = 5
_LONGEST_RECORD: Final = 1 << 14
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0
_ENCRYPTED_NAME: Final = frozenset({0xFE0D, 0xFFCE})
"""Extensions that carry a name nobody on the way can read: encrypted_client_hello, and its older form."""


class _Reader:
    """Takes bytes off the front, and refuses to go past the end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._content):
            raise _bad("is cut off inside")
        self._at += count
        return self._content[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))

    @property
    def left(self) -> int:
        return len(self._content) - self._at


def server_name(untrusted_bytes: bytes) -> str | None:
    """Return the host a ClientHello is for, in lower case; None if it has not arrived whole.

    Args:
        untrusted_bytes: everything received so far, from the first byte.

    Raises:
        Malformed: ``tls_hello`` if it can become no ClientHello we let through, ``tls_no_name`` for no name or an
            encrypted one.
    """
    if len(untrusted_bytes) > LONGEST:
        raise _bad(f"is longer than {LONGEST} bytes")
    message = _message(untrusted_bytes)
    del untrusted_bytes
    return None if message is None else _name(_extensions(message))


def _bad(problem: str) -> Malformed:
    return Malformed("tls_hello", f"the tunnel's first message {problem}")


def _message(received: bytes) -> bytes | None:
    """Return the ClientHello's body out of its records, None if more must come."""
    at, message = 0, bytearray()
    for _ in range(MOST_RECORDS):
        header = received[at : at + _RECORD]
        if (header and header[0] != _HANDSHAKE) or (len(header) > 1 and header[1] != 3):
            raise _bad("is no TLS handshake")
        if len(header) < _RECORD:
            return None
        size = int.from_bytes(header[3:5], "big")
        if not 0 < size <= _LONGEST_RECORD:
            raise _bad("has a record of an impossible length")
        message += received[at + _RECORD : at + _RECORD + size]
        if message[:1] and message[0] != _CLIENT_HELLO:
            raise _bad("is no ClientHello")
        if len(message) >= 4:
            wanted = 4 + int.from_bytes(message[1:4], "big")
            if wanted > LONGEST:
                raise _bad(f"is longer than {LONGEST} bytes")
            if len(message) > wanted:
                raise _bad("has something behind it in its record")
            if len(message) == wanted:
                return bytes(message[4:])
        if len(received) < at + _RECORD + size:
            return None
        at += _RECORD + size
    raise _bad(f"comes in more than {MOST_RECORDS} records")


def _extensions(message: bytes) -> dict[int, bytes]:
    reader = _Reader(message)
    if reader.take(1) != b"\x03":
        raise _bad("has an unknown version")
    reader.take(1 + 32)  # the minor version, and the random
    session, suites, compressions = reader.vector(1), reader.vector(2), reader.vector(1)
    if len(session) > 32 or not suites or len(suites) % 2 or not compressions:
        raise _bad("is not well-formed")
    if not reader.left:
        return {}
    inner = _Reader(reader.vector(2))
    if reader.left:
        raise _bad("has bytes behind its extensions")
    found: dict[int, bytes] = {}
    while inner.left:
        kind, content = inner.number(2), inner.vector(2)
        if kind in found:
            raise _bad("has an extension twice")
        found[kind] = content
    return found


def _name(extensions: dict[int, bytes]) -> str:
    if _ENCRYPTED_NAME & extensions.keys():
        raise Malformed("tls_no_name", "the tunnel's first message hides its host name", "switch encrypted hello off")
    if _SERVER_NAME not in extensions:
        raise Malformed("tls_no_name", "the tunnel's first message names no host", "let the program send SNI")
    outer = _Reader(extensions[_SERVER_NAME])
    names = _Reader(outer.vector(2))
    kind, name = names.number(1), names.vector(2)
    if outer.left or names.left or kind != _HOST_NAME or not name or not name.isascii():
        raise _bad("does not name exactly one host")
    return name.decode("ascii").lower()
