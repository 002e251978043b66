"""Where a worker may open files, and how: from a root's descriptor, links refused, files of one link only.

Stops: ``..``, absolute and relative links (final, in between, swapped in mid-call), ``/proc`` links, hard links, FIFOs,
sockets and devices standing where a file is expected. Does not stop: another process of the same account changing a
file's bytes between two operations; callers bind the hash they saw.
"""

from __future__ import annotations

import os
import stat

from bascule.sandboxes.worker import walls
from bascule.sandboxes.worker.refusal import RefusedError

NAME_BYTES = 255
PATH_BYTES = 4095
_TRIES = 16
_WAY = os.O_PATH | os.O_DIRECTORY  # without O_NOFOLLOW, which would open a link itself instead of refusing it
_QUIET = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

NEW_DIRECTORY_MODE = 0o770
"""Agent and its group; a default access control list on the parent lets the operator in as well."""


class Root:
    """One mounted place: a directory, or a single granted file."""

    __slots__ = ("is_directory", "leaf", "parent", "path", "writable")

    def __init__(self, path: bytes, *, writable: bool) -> None:
        """Open the place; ``path`` must be plain.

        Raises:
            OSError: it is missing, or a link stands in the way.
        """
        slash = walls.openat2(-100, b"/", os.O_PATH | os.O_DIRECTORY, resolve=0)
        try:
            found = walls.openat2(slash, path.lstrip(b"/") or b".", os.O_PATH)
            self.is_directory = stat.S_ISDIR(os.fstat(found).st_mode)
            self.path, self.writable, self.leaf = path, writable, b""
            self.parent = found
            if not self.is_directory:
                above, _, self.leaf = path.rpartition(b"/")
                os.close(found)
                self.parent = walls.openat2(slash, above.lstrip(b"/") or b".", os.O_PATH | os.O_DIRECTORY)
        finally:
            os.close(slash)

    def landlock_rule(self) -> tuple[int, int]:
        """Return a fresh descriptor and the rights that belong on it; the caller closes it."""
        if self.is_directory:
            return os.dup(self.parent), walls.WRITING if self.writable else walls.READING
        rights = walls.ON_A_FILE if self.writable else walls.READ_FILE
        return walls.openat2(self.parent, self.leaf, os.O_PATH), rights


def parts_of(path: bytes) -> list[bytes]:
    """Return the components of an absolute path.

    Raises:
        RefusedError: relative, too long, a NUL, an empty component, ``.``, ``..`` or a name over 255 bytes.
    """
    if not path.startswith(b"/") or len(path) > PATH_BYTES or b"\0" in path:
        raise RefusedError("path_not_plain")
    parts = path[1:].split(b"/") if path != b"/" else []
    for part in parts:
        if part in {b"", b".", b".."} or len(part) > NAME_BYTES:
            raise RefusedError("path_not_plain")
    return parts


class Roots:
    """All roots of a worker."""

    def __init__(self, roots: list[Root]) -> None:
        """Longest first, so that the first match is the most specific."""
        self._roots = sorted(roots, key=lambda root: -len(root.path))

    def landlock_rules(self) -> list[tuple[int, int]]:
        """Return descriptors and rights for :func:`walls.restrict_files`; the caller closes the descriptors."""
        return [root.landlock_rule() for root in self._roots]

    def locate(self, path: bytes) -> tuple[Root, list[bytes]]:
        """Return the root that holds ``path`` and the components below it.

        Raises:
            RefusedError: not plain, or below no root.
        """
        parts = parts_of(path)
        for root in self._roots:
            if path == root.path or path.startswith(root.path.rstrip(b"/") + b"/"):
                below = parts[len(parts_of(root.path)) :]
                if below and not root.is_directory:
                    raise RefusedError("file_missing")
                return root, below
        raise RefusedError("path_outside")

    def open_regular(self, path: bytes, flags: int) -> int:
        """Return a descriptor of the existing regular file with one link at ``path``.

        Raises:
            RefusedError: it is something else, or lies outside.
            OSError: the kernel refused.
        """
        root, below = self.locate(path)
        if not root.is_directory:
            return open_regular_at(root.parent, root.leaf, flags)
        if not below:
            raise RefusedError("path_is_directory")
        return open_regular_at(root.parent, b"/".join(below), flags)

    def open_parent(self, path: bytes, made: list[tuple[int, bytes]]) -> tuple[int, bytes]:
        """Return a descriptor of the directory that holds ``path``, and the last component; missing ones are made.

        Args:
            path: below a writable directory root.
            made: receives (descriptor of the parent, name) of each directory made; the caller closes the descriptors.

        Raises:
            RefusedError: ``path`` is the root itself.
            OSError: the kernel refused.
        """
        root, below = self.locate(path)
        if not below:
            raise RefusedError("path_is_directory")
        here = os.dup(root.parent)
        try:
            for name in below[:-1]:
                here = _descend(here, name, made)
        except BaseException:
            os.close(here)
            raise
        return here, below[-1]


def _descend(here: int, name: bytes, made: list[tuple[int, bytes]]) -> int:
    """Return a descriptor of ``name`` below ``here``, which is closed on success; make it if it is missing."""
    try:
        below = walls.openat2(here, name, _WAY)
    except FileNotFoundError:
        try:
            os.mkdir(name, NEW_DIRECTORY_MODE, dir_fd=here)
            made.append((os.dup(here), name))
        except FileExistsError:  # somebody else was quicker; whatever it is, the next open judges it
            pass
        below = walls.openat2(here, name, _WAY)
    os.close(here)
    return below


def open_regular_at(directory: int, name: bytes, flags: int) -> int:
    """Return a descriptor of a regular file with one link.

    A file with no link left was replaced between opening and looking; it is opened again.

    Raises:
        RefusedError: a directory, FIFO, socket, device, or a file with several names.
        OSError: the kernel refused.
    """
    for _ in range(_TRIES):
        try:
            descriptor = walls.openat2(directory, name, flags | _QUIET)
        except BlockingIOError:
            continue
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            return descriptor
        os.close(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise RefusedError("path_is_directory")
        if not stat.S_ISREG(found.st_mode):
            raise RefusedError("not_regular_file")
        if found.st_nlink:
            raise RefusedError("file_has_links")
    raise RefusedError("file_busy")
