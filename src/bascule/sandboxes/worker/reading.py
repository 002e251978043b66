"""Reading: bytes and the hash of the whole file from one pass over one descriptor.

Stops: content and hash that belong to different moments, and a large file filling memory. The whole file is hashed up
to the size limit; a larger one is refused, never half-hashed. Does not stop: a writer changing the file during the
pass; content and hash still agree with each other, for both come from the same bytes.
"""

from __future__ import annotations

import os

from bascule.sandboxes.worker.digest import sha256
from bascule.sandboxes.worker.refusal import RefusedError
from bascule.sandboxes.worker.roots import Roots

CHUNK = 256 << 10


def read(roots: Roots, path: bytes, offset: int, limit: int, file_bytes: int) -> tuple[int, bytes, bytes]:
    """Return (size, hex SHA-256 of all, the bytes from ``offset`` up to ``limit`` of them).

    Raises:
        RefusedError: no plain regular file, or larger than ``file_bytes``.
        OSError: the kernel refused.
    """
    descriptor = roots.open_regular(path, os.O_RDONLY)
    try:
        return scan(descriptor, offset, limit, file_bytes)
    finally:
        os.close(descriptor)


def scan(descriptor: int, offset: int, limit: int, file_bytes: int) -> tuple[int, bytes, bytes]:
    """Read a descriptor to its end; see :func:`read`.

    Raises:
        RefusedError: larger than ``file_bytes``.
        OSError: reading failed.
    """
    if os.fstat(descriptor).st_size > file_bytes:
        raise RefusedError("file_too_large")
    digest, size, kept = sha256(), 0, []
    while chunk := os.read(descriptor, CHUNK):
        digest.update(chunk)
        first, last = max(offset - size, 0), min(offset + limit - size, len(chunk))
        if first < last:
            kept.append(chunk if (first, last) == (0, len(chunk)) else chunk[first:last])
        size += len(chunk)
        if size > file_bytes:
            raise RefusedError("file_too_large")
    return size, digest.hexdigest().encode("ascii"), kept[0] if len(kept) == 1 else b"".join(kept)


def identify(roots: Roots, path: bytes, file_bytes: int) -> bytes:
    """Return the hex SHA-256 of the file at ``path``, or nothing if there is no file.

    Raises:
        RefusedError: something stands there that is no plain regular file.
        OSError: the kernel refused.
    """
    try:
        return read(roots, path, 0, 0, file_bytes)[1]
    except (FileNotFoundError, NotADirectoryError):
        return b""
