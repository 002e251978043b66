"""Writing: a new file beside the old one, on disk, then renamed over it; or in place for a single granted file.

Stops: half-written files. A full disk, an error or a kill leaves the old content; directories made on the way are
removed again. Appending copies, so that it is as atomic as writing. A lone granted file is a mount point and cannot be
renamed over: its new blocks are reserved first and the old bytes put back after an error, but a kill in the middle
shows. Does not stop: two writers of one account; the later one wins, except that an append or an edit whose file
changed meanwhile is refused. A killed worker may leave one hidden ``.bascule-….tmp`` behind.
"""

from __future__ import annotations

import os

from bascule.sandboxes.worker import walls
from bascule.sandboxes.worker.digest import sha256
from bascule.sandboxes.worker.reading import CHUNK, scan
from bascule.sandboxes.worker.refusal import RefusedError
from bascule.sandboxes.worker.roots import Root, Roots, open_regular_at

NEW_FILE_MODE = 0o660
"""Agent and its group; a default access control list on the directory lets the operator in as well."""

_Identity = tuple[int, int, int, int, int]


class Writer:
    """All operations that change a file."""

    def __init__(self, roots: Roots, file_bytes: int, write_bytes: int) -> None:
        """Limits: the largest file that may result, and the largest content or edited file held in memory; bytes."""
        self._roots = roots
        self._file_bytes = file_bytes
        self._write_bytes = write_bytes

    def write(self, path: bytes, content: bytes, *, append: bool) -> bytes:
        """Replace or extend a file, making it and missing directories if need be; return the new hex SHA-256.

        Raises:
            RefusedError: no plain regular file, read-only, too large, or changed meanwhile.
            OSError: the kernel refused; nothing changed.
        """
        root = self._writable(path)
        if not root.is_directory:
            return self._write_alone(path, content, append=append)
        made: list[tuple[int, bytes]] = []
        try:
            directory, name = self._roots.open_parent(path, made)
            try:
                return self._write_beside(directory, name, content, append=append)
            finally:
                os.close(directory)
        except BaseException:
            _unmake(made)
            raise
        finally:
            for parent, _ in made:
                os.close(parent)

    def edit(self, path: bytes, old: bytes, new: bytes, expected: bytes, *, every: bool) -> bytes:
        """Replace ``old`` by ``new``, once or everywhere, in a file whose hash is ``expected``; return the new hash.

        Raises:
            RefusedError: as :meth:`write`; the hash differs; ``old`` does not stand in it, or stands there twice.
            OSError: the kernel refused; nothing changed.
        """
        root = self._writable(path)
        descriptor = self._roots.open_regular(path, os.O_RDWR)
        try:
            before = _identity(descriptor)
            if before[2] > self._write_bytes:
                raise RefusedError("file_too_large")
            _, digest, content = scan(descriptor, 0, self._write_bytes, self._write_bytes)
            if digest != expected:
                raise RefusedError("file_changed")
            changed = replace(content, old, new, every=every, most=self._write_bytes)
            if not root.is_directory:
                _overwrite(descriptor, 0, changed, content)
                return _digest(changed)
            mode = os.fstat(descriptor).st_mode & 0o777
        finally:
            os.close(descriptor)
        directory, name = self._roots.open_parent(path, [])
        try:
            with _Beside(directory, name, mode) as beside:
                beside.add(changed)
                return beside.settle(before)
        finally:
            os.close(directory)

    def _writable(self, path: bytes) -> Root:
        root, _ = self._roots.locate(path)
        if not root.writable:
            raise RefusedError("read_only")
        return root

    def _write_beside(self, directory: int, name: bytes, content: bytes, *, append: bool) -> bytes:
        try:  # opened for writing, so that a file the account may not write stays unwritten
            old = open_regular_at(directory, name, os.O_RDWR if append else os.O_WRONLY)
        except FileNotFoundError:
            with _Beside(directory, name, NEW_FILE_MODE) as beside:
                beside.add(content)
                return beside.settle(None)
        try:
            before = _identity(old)
            if append and before[2] + len(content) > self._file_bytes:
                raise RefusedError("file_too_large")
            with _Beside(directory, name, os.fstat(old).st_mode & 0o777) as beside:
                while append and (chunk := os.read(old, CHUNK)):
                    beside.add(chunk)
                beside.add(content)
                return beside.settle(before if append else None)
        finally:
            os.close(old)

    def _write_alone(self, path: bytes, content: bytes, *, append: bool) -> bytes:
        descriptor = self._roots.open_regular(path, os.O_RDWR)
        try:
            size = os.fstat(descriptor).st_size
            if size > (self._file_bytes - len(content) if append else self._write_bytes):
                raise RefusedError("file_too_large")
            start = size if append else 0
            _overwrite(descriptor, start, content, _from(descriptor, start, size))
            os.lseek(descriptor, 0, os.SEEK_SET)
            return scan(descriptor, 0, 0, self._file_bytes)[1]
        finally:
            os.close(descriptor)


class _Beside:
    """A new file beside the one it will replace; gone again unless it settles."""

    def __init__(self, directory: int, name: bytes, mode: int) -> None:
        self._directory, self._name = directory, name
        self._temporary = b".bascule-" + os.urandom(12).hex().encode("ascii") + b".tmp"
        self._digest = sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._descriptor = walls.openat2(directory, self._temporary, flags, mode)
        self._settled = False

    def __enter__(self) -> _Beside:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        if not self._settled:
            os.unlink(self._temporary, dir_fd=self._directory)

    def add(self, content: bytes) -> None:
        self._digest.update(content)
        _write_all(self._descriptor, content)

    def settle(self, unchanged: _Identity | None) -> bytes:
        """Bring it to disk and rename it; refuse if the old file's identity is not ``unchanged`` (None: any)."""
        os.fsync(self._descriptor)
        if unchanged is not None:
            now = open_regular_at(self._directory, self._name, os.O_RDONLY)
            try:
                if _identity(now) != unchanged:
                    raise RefusedError("file_changed")
            finally:
                os.close(now)
        os.rename(self._temporary, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._settled = True
        return self._digest.hexdigest().encode("ascii")


def replace(content: bytes, old: bytes, new: bytes, *, every: bool, most: int) -> bytes:
    """Return ``content`` with ``old`` replaced: the only occurrence, or each, left to right without overlap.

    Raises:
        RefusedError: no occurrence, (unless ``every``) a second one, overlapping ones counted, or a result of more than
            ``most`` bytes, which is reckoned before anything is built.
    """
    first = content.find(old) if old else -1
    if first < 0:
        raise RefusedError("edit_no_match")
    if not every and content.find(old, first + 1) >= 0:
        raise RefusedError("edit_not_unique")
    count = content.count(old) if every else 1
    if len(content) + count * (len(new) - len(old)) > most:
        raise RefusedError("file_too_large")
    if every:
        return content.replace(old, new)
    return content[:first] + new + content[first + len(old) :]


def _identity(descriptor: int) -> _Identity:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(content: bytes) -> bytes:
    return sha256(content).hexdigest().encode("ascii")


def _from(descriptor: int, start: int, end: int) -> bytes:
    return os.pread(descriptor, end - start, start) if end > start else b""


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _overwrite(descriptor: int, start: int, content: bytes, saved: bytes) -> None:
    """Put ``content`` at ``start`` and end the file there; on an error put ``saved`` back and end it as before."""
    before = start + len(saved)
    try:
        if content:
            os.posix_fallocate(descriptor, start, len(content))
        os.lseek(descriptor, start, os.SEEK_SET)
        _write_all(descriptor, content)
        os.ftruncate(descriptor, start + len(content))
        os.fsync(descriptor)
    except OSError:
        os.lseek(descriptor, start, os.SEEK_SET)
        _write_all(descriptor, saved)
        os.ftruncate(descriptor, before)
        raise


def _unmake(made: list[tuple[int, bytes]]) -> None:
    for parent, name in reversed(made):
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError:  # somebody put something into it: then it is theirs
            return
