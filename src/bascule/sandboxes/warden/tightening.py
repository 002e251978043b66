"""What the warden does inside a fresh container's mounts, before anything of an agent's runs there.

Stops: a container seeing another file than the one that was opened (a link or a rename between the two), a file an
agent wrote being run, a setuid program of an image, the accounts an image names. Done by a copy of the warden that
joins the container's mount namespace and ends there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bascule.core.errors import Tampered, Unavailable
from bascule.linux.calls import (
    MountFlag,
    attach_mount,
    clone_mount,
    join_mounts,
    mount_tmpfs,
    open_without_links,
    restrict_mount,
)
from bascule.sandboxes.warden.stage import Bind

_LOCKED = MountFlag.NO_SETUID | MountFlag.NO_DEVICES
_BENCHES = ("/mnt", "/media", "/srv", "/home", "/boot")
"""Directories that images have and leave empty; small files are made in one of them that are then mounted elsewhere."""

_DIFFERS = 9


@dataclass(frozen=True, slots=True)
class Source:
    """A bind and what it was when it was opened."""

    descriptor: int
    bind: Bind


def tighten(process: int, sources: Sequence[Source], hidden: Sequence[str], files: Mapping[str, str]) -> None:
    """Compare and tighten the mounts of a container.

    Args:
        process: a descriptor of ``/proc/<pid>`` of the container's first process.
        sources: what it was to see.
        hidden: places to cover, where something stands there.
        files: content of small files of our own, by where they cover the image's.

    Raises:
        Tampered: a mount is not what was opened.
        Unavailable: the mounts cannot be joined or tightened.
    """
    try:
        namespace = os.open("ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    except OSError as error:
        raise Unavailable("container_ended", f"the container's mounts are gone: {error.strerror}") from None
    told, tell = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _inside(namespace, sources, hidden, files, tell)
    for descriptor in (namespace, tell):
        os.close(descriptor)
    with open(told, "rb") as report:
        said = report.read(300).decode("utf-8", "replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == _DIFFERS:
        raise Tampered("container_mount", f"Docker mounted something else at {said}", "make the call again")
    if status:
        raise Unavailable("container_mount", f"the container's mounts cannot be tightened: {said}")


def _inside(
    namespace: int, sources: Sequence[Source], hidden: Sequence[str], files: Mapping[str, str], tell: int
) -> None:
    """Never returns."""
    status = 1
    try:
        join_mounts(namespace)
        found = [_seen(source.bind.target) for source in sources]
        different = _different(sources, found)
        if different:
            os.write(tell, different.encode()[:300])
            status = _DIFFERS
        else:
            _restrict(sources, found)
            _cover(hidden)
            _put(files)
            # Last, for the container's first process takes it for a sign that all of this is done.
            restrict_mount("/", MountFlag.READ_ONLY | _LOCKED)
            status = 0
    except OSError as error:
        os.write(tell, str(error).encode()[:300])
    finally:
        os._exit(status)


def _seen(target: str) -> int:
    """Hold what stands at a place, so that what is compared is what is tightened; -1 if a link stands in the way."""
    try:
        return open_without_links(target, os.O_PATH)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return -1


def _different(sources: Sequence[Source], found: Sequence[int]) -> str:
    for source, seen in zip(sources, found, strict=True):
        if seen < 0 or _identity(source.descriptor) != _identity(seen):
            return source.bind.target
    return ""


def _identity(descriptor: int) -> tuple[int, int, int]:
    seen = os.fstat(descriptor)
    return seen.st_dev, seen.st_ino, stat.S_IFMT(seen.st_mode)


def _restrict(sources: Sequence[Source], found: Sequence[int]) -> None:
    for source, seen in zip(sources, found, strict=True):
        flags = _LOCKED
        flags |= MountFlag(0) if source.bind.executable else MountFlag.NO_EXEC
        flags |= MountFlag(0) if source.bind.writable else MountFlag.READ_ONLY
        restrict_mount(seen, flags)


def _cover(hidden: Sequence[str]) -> None:
    for place in hidden:
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(mode):
            mount_tmpfs(place, mode=0o755, size=4096)
            restrict_mount(place, MountFlag.READ_ONLY)
        elif stat.S_ISREG(mode):
            _attach("/dev/null", place, MountFlag.READ_ONLY | MountFlag.NO_EXEC)
        else:
            raise OSError(40, "a secret is a link and cannot be covered", place)


def _put(files: Mapping[str, str]) -> None:
    """Put small files of our own over the image's. The bench stays: taking a mount away costs the kernel 17 ms."""
    bench = _bench()
    mount_tmpfs(bench, mode=0o755, size=1 << 16)
    for place, content in files.items():
        made = f"{bench}/{os.path.basename(place)}"
        with open(made, "x", encoding="utf-8") as file:
            file.write(content)
        os.chmod(made, 0o644)
        if os.path.lexists(place):
            _attach(made, place, MountFlag.READ_ONLY | MountFlag.NO_EXEC | _LOCKED)
    restrict_mount(bench, MountFlag.READ_ONLY | MountFlag.NO_EXEC | _LOCKED)


def _bench() -> str:
    """Return a directory in which nothing stands and on which nothing is mounted, for it will not be seen any more."""
    root = os.stat("/").st_dev
    for place in _BENCHES:
        try:
            seen = os.lstat(place)
            if stat.S_ISDIR(seen.st_mode) and seen.st_dev == root and not os.listdir(place):
                return place
        except FileNotFoundError:
            continue
    raise OSError(errno.ENOENT, f"none of {', '.join(_BENCHES)} is an empty directory in it")


def _attach(source: str, target: str, flags: MountFlag) -> None:
    descriptor = os.open(source, os.O_PATH | os.O_CLOEXEC)
    try:
        tree = clone_mount(descriptor, flags)
    finally:
        os.close(descriptor)
    attach_mount(tree, target)
    os.close(tree)
