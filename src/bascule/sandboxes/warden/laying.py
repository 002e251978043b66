"""Laying a box's root out, in the mount namespace of the one child that becomes the box, before it gives up its rights.

Stops: a link in what an agent writes, or in the machine's own tree, leading a mount over something of the box's own:
none on the way is followed. For a box that is given the whole machine, stops a protected tree showing, which must be
the very thing that was looked at, and anything being made on the machine itself: a place that is missing is made on the
box's own file systems or not at all.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from bascule.linux.calls import (
    MountFlag,
    Resolve,
    attach_mount,
    clone_mount,
    mount_tmpfs,
    open_at,
    restrict_mount,
)
from bascule.sandboxes.bubblewrap.argv import STAGE
from bascule.sandboxes.warden.sources import OpenMount
from bascule.sandboxes.warden.stage import LINKS, SCRATCH, Stage

_COVER_BYTES = 4096
_PATH = os.O_PATH | os.O_CLOEXEC
_WAY = _PATH | os.O_DIRECTORY
_INSIDE = Resolve.BENEATH | Resolve.NO_SYMLINKS | Resolve.NO_MAGICLINKS


def lay_first(devices: list[OpenMount]) -> None:
    """Lay over the empty root at :data:`STAGE` what is the same in every box, before it is known whose this one is.

    Raises:
        OSError: the kernel refuses.
    """
    own = _Own(on_host=False)
    for device in devices:
        own.attach(device)
    for place, target in LINKS.items():
        own.link(place, target)


def lay_out(stage: Stage, mounts: list[OpenMount]) -> None:
    """Mount what a stage says over the root at :data:`STAGE`.

    Args:
        stage: what the box contains.
        mounts: its sources, opened.

    Raises:
        OSError: the kernel refuses, a link stands where something is to be mounted or covered, or a place is missing
            that only the machine itself could have.
    """
    own = _Own(on_host=any(mount.whole for mount in mounts))
    for mount in (mount for mount in mounts if mount.whole):
        own.attach(mount)
    covered = own.cover(stage.covers)
    own.empty(SCRATCH, stage.scratch_bytes)
    for place, size in stage.scratches.items():
        own.empty(place, size)
    for mount in (mount for mount in mounts if not mount.whole):
        own.attach(mount)
    for place in stage.hidden:
        hide(STAGE + place)
    for place, content in stage.files.items():
        own.write(place, content)
    for place, target in stage.links.items():
        own.link(place, target)
    for place in (*covered, "/"):
        _restrict(place)


class _Above:
    """A descriptor of the directory in which a place lies, with the last part of its name."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._name = descriptor, name

    def __enter__(self) -> tuple[int, str]:
        return self._descriptor, self._name

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


class _Own:
    """Knows which file systems are the box's own, and makes places on them alone."""

    def __init__(self, *, on_host: bool) -> None:
        """Without ``on_host`` all there is was lent for this box: a place for one mount may be made in another."""
        self._on_host = on_host
        self._devices = {os.stat(STAGE).st_dev}

    def above(self, place: str) -> _Above:
        """Return the directory in which something is to be made.

        Raises:
            OSError: that would be made on the machine itself.
        """
        parent, name = self._parent(place)
        try:
            self._must_be_own(parent, place)
        except OSError:
            os.close(parent)
            raise
        return _Above(parent, name)

    def attach(self, mount: OpenMount) -> None:
        """Attach a source at its place, which is made if it is missing."""
        parent, name = self._parent(mount.target)
        with _Above(parent, name):
            if not _stands(name, parent):
                self._must_be_own(parent, mount.target)
                if mount.is_directory:
                    os.mkdir(name, 0o755, dir_fd=parent)
                else:
                    make_file(name, parent)
            attach_mount(mount.tree, name, parent)

    def write(self, place: str, content: str) -> None:
        """Make a small file, where nothing stands."""
        if not os.path.lexists(STAGE + place):
            with self.above(place) as (parent, name):
                make_file(name, parent, content.encode())

    def link(self, place: str, target: str) -> None:
        """Make a symbolic link, where nothing stands."""
        if not os.path.lexists(STAGE + place):
            with self.above(place) as (parent, name):
                os.symlink(target, name, dir_fd=parent)

    def empty(self, place: str, size: int) -> None:
        """Mount an empty place to write in."""
        self._mount(self._way_to(place), 0o1777, size, place)

    def cover(self, covers: Mapping[str, tuple[int, int]]) -> list[str]:
        """Cover places of the machine; return those in which places can still be made, to be closed in the end.

        Raises:
            OSError: what stands there is not what was looked at.
        """
        open_still = []
        for place, identity in covers.items():
            standing = _look(place)
            seen = os.fstat(standing)
            if (seen.st_dev, seen.st_ino) != identity:
                os.close(standing)
                raise OSError(errno.ESTALE, "what is to be covered is not what was looked at", place)
            if stat.S_ISDIR(seen.st_mode):
                self._mount(standing, 0o755, _COVER_BYTES, place)
                open_still.append(place)
            else:
                os.close(standing)
                hide(STAGE + place)
        return open_still

    def _parent(self, place: str) -> tuple[int, str]:
        above, _, name = place.rpartition("/")
        return self._way_to(above), name

    def _way_to(self, place: str) -> int:
        """Return a descriptor of a directory of the stage, made where it is missing, without following a link."""
        here = os.open(STAGE, _WAY)
        try:
            try:
                return open_at(place.lstrip("/") or ".", _WAY, directory=here, resolve=_INSIDE)
            except FileNotFoundError:
                for name in place.strip("/").split("/"):
                    if not _stands(name, here):
                        self._must_be_own(here, place)
                        os.mkdir(name, 0o755, dir_fd=here)
                    below = open_at(name, _WAY, directory=here, resolve=_INSIDE)
                    os.close(here)
                    here = below
                return os.dup(here)
        finally:
            os.close(here)

    def _mount(self, standing: int, mode: int, size: int, place: str) -> None:
        """Mount a file system of the box's own over an open directory, whose descriptor is used up."""
        try:
            mount_tmpfs(f"/proc/self/fd/{standing}", mode=mode, size=size)
        finally:
            os.close(standing)
        mounted = _look(place)
        self._devices.add(os.fstat(mounted).st_dev)
        os.close(mounted)

    def _must_be_own(self, directory: int, place: str) -> None:
        if self._on_host and os.fstat(directory).st_dev not in self._devices:
            raise OSError(errno.EROFS, "nothing is made on the machine itself for a box", place)


def _stands(name: str, directory: int) -> bool:
    try:
        os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return False
    return True


def _look(place: str) -> int:
    """Return a descriptor of what stands at a place of the stage, reached without following a link."""
    root = os.open(STAGE, _WAY)
    try:
        return open_at(place.strip("/") or ".", _PATH, directory=root, resolve=_INSIDE)
    finally:
        os.close(root)


def _restrict(place: str) -> None:
    mounted = _look(place)
    try:
        restrict_mount(mounted, MountFlag.READ_ONLY)
    finally:
        os.close(mounted)


def hide(target: str) -> None:
    """Put emptiness over a place, if anything stands there.

    Raises:
        OSError: it is a link (what it leads to would stay uncovered), or cannot be covered.
    """
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "a secret is a link and cannot be covered", target)
    if stat.S_ISDIR(mode):
        mount_tmpfs(target, mode=0o755, size=_COVER_BYTES)
        restrict_mount(target, MountFlag.READ_ONLY)
        return
    tree = clone(f"{STAGE}/dev/null", MountFlag.READ_ONLY | MountFlag.NO_DEVICES | MountFlag.NO_EXEC)
    attach_mount(tree, target)
    os.close(tree)


def make_file(name: str, directory: int, content: bytes = b"") -> None:
    """Make a small file, or an empty one to mount on.

    Raises:
        OSError: as the kernel says, also if it is there.
    """
    made = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=directory)
    try:
        if os.write(made, content) != len(content):
            raise OSError(errno.ENOSPC, "a file of a box's own has no room", name)
    finally:
        os.close(made)


def clone(path: str, flags: MountFlag) -> int:
    """Return a detached mount of what lies at a path of ours.

    Raises:
        OSError: as the kernel says.
    """
    source = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return clone_mount(source, flags)
    finally:
        os.close(source)
