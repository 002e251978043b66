"""Looking along the way to a file without opening it: directories, links, owners, modes, access lists.

Stops: the way being another one when it is used: every step is taken from the descriptor of the step before, a link is
read where it was found, and nothing is opened but as a place. Does not change anything.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator

from bascule.checkup.ownership import Grant, Thing, Way
from bascule.core.errors import Unavailable

_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
"""As many as the kernel follows (``path_resolution(7)``)."""

_MOST_TOOLS = 10_000
_USER, _OWNING_GROUP, _GROUP, _MASK = 0x02, 0x04, 0x08, 0x10


def parse_acl(content: bytes, gid: int) -> tuple[Grant, ...]:
    """Return the grants of an access list (``linux/posix_acl_xattr.h``); one that cannot be read grants nothing.

    Args:
        content: of ``system.posix_acl_access``.
        gid: the file's group, which the list does not name by number.
    """
    rows = [struct.unpack_from("<HHI", content, place) for place in range(4, len(content) - 7, 8)]
    mask = next((bits for tag, bits, _ in rows if tag == _MASK), 7)
    found = [Grant(group=False, who=who, bits=bits & mask) for tag, bits, who in rows if tag == _USER]
    found += [Grant(group=True, who=who, bits=bits & mask) for tag, bits, who in rows if tag == _GROUP]
    return (*found, *(Grant(group=True, who=gid, bits=bits & mask) for tag, bits, _ in rows if tag == _OWNING_GROUP))


def look(descriptor: int, path: str) -> Thing:
    """Return what an open place is.

    Raises:
        OSError: as the kernel says.
    """
    seen = os.fstat(descriptor)
    kind = stat.S_IFMT(seen.st_mode)
    acl = b""
    if kind != stat.S_IFLNK:
        try:
            # A descriptor that is only a place gives no attributes itself, but the way through it does.
            acl = os.getxattr(f"/proc/self/fd/{descriptor}", "system.posix_acl_access")
        except OSError as error:
            if error.errno not in {errno.ENODATA, errno.EOPNOTSUPP}:
                raise
    return Thing(path, kind, seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode), parse_acl(acl, seen.st_gid))


def way_to(path: str) -> Way:
    """Return the way to an absolute path, links followed.

    Raises:
        Unavailable: ``path_closed``: a directory may not be passed by this account, or the links go in a circle.
    """
    walk = _Walk(path)
    try:
        return walk.go()
    except OSError as error:
        raise Unavailable(
            "path_closed", f"who could change {path} cannot be told: {error.strerror}", "ask as root"
        ) from None
    finally:
        walk.close()


class _Walk:
    def __init__(self, path: str) -> None:
        self._path = path
        self._todo = [part for part in path.split("/") if part not in {"", "."}]
        self._open: list[tuple[int, Thing]] = []
        self._steps: list[tuple[Thing | None, Thing]] = []
        self._links = 0

    def close(self) -> None:
        for descriptor, _ in self._open:
            os.close(descriptor)
        self._open = []

    def go(self) -> Way:
        root = os.open("/", _FLAGS | os.O_DIRECTORY)
        self._open = [(root, look(root, "/"))]
        self._steps = [(None, self._open[0][1])]
        while self._todo:
            name = self._todo.pop(0)
            if name == "..":
                if len(self._open) > 1:
                    os.close(self._open.pop()[0])
                self._steps.append((None, self._open[-1][1]))
            elif not self._enter(name):
                return Way(self._path, tuple(self._steps), missing=True)
        return Way(self._path, tuple(self._steps))

    def _enter(self, name: str) -> bool:
        holder, around = self._open[-1]
        try:
            descriptor = os.open(name, _FLAGS, dir_fd=holder)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            thing = look(descriptor, f"{around.path.rstrip('/')}/{name}")
            self._steps.append((around, thing))
            if thing.kind != stat.S_IFLNK:
                self._open.append((descriptor, thing))
                descriptor = -1
                return True
            self._follow(os.readlink("", dir_fd=descriptor))
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return True

    def _follow(self, target: str) -> None:
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        self._todo[:0] = [part for part in target.split("/") if part not in {"", "."}]
        if target.startswith("/"):
            for descriptor, _ in self._open[1:]:
                os.close(descriptor)
            del self._open[1:]
        self._steps.append((None, self._open[-1][1]))


def files_below(directory: str) -> Iterator[str]:
    """Yield the path of every file and directory below a directory, following no link; nothing if it is not there.

    Raises:
        Unavailable: ``tools_too_many``; ``path_closed``: one may not be looked into.
    """
    count = 0

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    try:
        for folder, folders, files, _ in os.fwalk(directory, onerror=refuse, follow_symlinks=False):
            for name in (*folders, *files):
                count += 1
                if count > _MOST_TOOLS:
                    raise Unavailable("tools_too_many", f"{directory} holds more than {_MOST_TOOLS} files")
                yield f"{folder}/{name}"
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unavailable(
            "path_closed", f"{directory} cannot be looked into: {error.strerror}", "ask as root"
        ) from None
