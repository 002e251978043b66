"""ClientHellos built by hand, so that each can be wrong in one way."""

from __future__ import annotations

ECH = 0xFE0D


def vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, content)


def sni(host: str) -> bytes:
    return extension(0, vector(2, b"\x00" + vector(2, host.encode())))


def bare(
    tail: bytes,
    *,
    version: bytes = b"\x03\x03",
    session: bytes = b"",
    suites: bytes = b"\x13\x01",
    compressions: bytes = b"\x00",
) -> bytes:
    """A handshake message with ``tail`` where the extensions and their length stand."""
    body = version + b"r" * 32 + vector(1, session) + vector(2, suites) + vector(1, compressions) + tail
    return b"\x01" + vector(3, body)


def hello(*extensions: bytes) -> bytes:
    return bare(vector(2, b"".join(extensions)))


def records(message: bytes, size: int = 1 << 14) -> bytes:
    """The message in records of at most ``size`` bytes."""
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)
