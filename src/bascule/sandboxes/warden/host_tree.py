"""The machine's own tree beneath what a program's box holds anyway, for agents that policy puts on the bare host.

Stops: such a program seeing what no approval reaches by name: the home but for the agent's own directory, the code, the
policy, the engine's socket, the system's secrets, interfaces of the kernel and of services; also where one of these is
mounted a second time. The program that was judged lies over the tree, so that what runs is what was judged. Does not
stop what the tree is given for: reading and, where an entry says ``writes``, writing what the agent's account may, and
starting every other program of the machine. Does not find a protected tree that a file system shows again by itself
(the lower directory of an overlay); there the modes of what lies in it are the wall.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from bascule.core.errors import Unavailable
from bascule.core.paths import BOX_ROOT, BOX_SHARED, KERNEL_ROOTS, SECRET_FILES, is_within
from bascule.linux.calls import open_without_links
from bascule.linux.mountinfo import MountedAt, parse_mountinfo
from bascule.sandboxes.warden.config import WardenConfig
from bascule.sandboxes.warden.stage import SCRATCH, Bind, Stage
from bascule.sandboxes.way import BUNDLE

_SECOND_SCRATCH = "/var/tmp"  # noqa: S108 -- the box's own
_OWN = (SCRATCH, BOX_ROOT, BOX_SHARED.rpartition("/")[0], *KERNEL_ROOTS)
"""Top-level places where a box has something of its own, or nothing: none of the machine's is put there."""

_MOUNTS = Path("/proc/self/mountinfo")


def other_places(path: str, number: int, mounts: tuple[MountedAt, ...]) -> tuple[str, ...]:
    """Return where else what lies at a path, or a part of it, is mounted too; not all of these need be visible.

    Args:
        path: absolute, free of links.
        number: of the mount it lies on.
        mounts: of this mount namespace.
    """
    found: list[str] = []
    under = next((mount for mount in mounts if mount.number == number), None)
    if under is None:
        return ()
    inner = _joined(under.root, path[len(under.place.rstrip("/")) :])
    for mount in mounts:
        if mount.device != under.device:
            continue
        if is_within(inner, mount.root):
            found.append(_joined(mount.place, inner[len(mount.root.rstrip("/")) :]))
        elif is_within(mount.root, inner):
            found.append(mount.place)
    return tuple(dict.fromkeys(place for place in found if place != path))


def _joined(place: str, rest: str) -> str:
    return place.rstrip("/") + rest if rest else place


def beneath(stage: Stage, config: WardenConfig, *, writable: bool) -> Stage:
    """Return a program's stage with the machine's tree beneath it.

    Args:
        stage: what the program's box holds anyway.
        config: says what is protected.
        writable: the tree may be written, as far as the agent's account may.

    Raises:
        Unavailable: what is to be covered cannot be looked at.
    """
    binds, links = _top(writable=writable)
    scratches = dict(stage.scratches)
    if os.path.isdir(_SECOND_SCRATCH) and not os.path.islink(_SECOND_SCRATCH):
        scratches.setdefault(_SECOND_SCRATCH, stage.scratch_bytes)
    # Certificates that stand elsewhere on this machine than in boxes are there, and its programs know where.
    lean = [bind for bind in stage.binds if bind.target != BUNDLE or bind.source == BUNDLE]
    return replace(
        stage,
        binds=(*binds, *lean),
        hidden=(*stage.hidden, *SECRET_FILES),
        links={**{place: stage.links[place] for place in stage.links if is_within(place, "/dev")}, **links},
        files={place: text for place, text in stage.files.items() if is_within(place, BOX_ROOT)},
        scratches=scratches,
        covers=_covers((config.home, *config.protected, config.engine), [bind.target for bind in lean]),
    )


def _top(*, writable: bool) -> tuple[list[Bind], dict[str, str]]:
    """Return the directories and files at the top of this machine's tree, and its links."""
    binds, links = [], {}
    with os.scandir("/") as entries:
        for entry in sorted(entries, key=lambda item: item.name):
            if entry.path in _OWN:
                continue
            if entry.is_symlink():
                links[entry.path] = os.readlink(entry.path)
            elif entry.is_dir() or entry.is_file():
                binds.append(Bind(entry.path, entry.path, writable, executable=True, whole=True))
    return binds, links


def _covers(protected: Iterable[str], given: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return what is to be covered, outermost places only, with what stands there now.

    Args:
        protected: what no program is to see.
        given: places of what it is given; the way to them must be open to it.
    """
    try:
        mounts = parse_mountinfo(_MOUNTS.read_text("utf-8", "surrogateescape"))
        found = dict(_identified(dict.fromkeys(os.path.realpath(path) for path in protected), mounts))
        found |= _closed(given)
    except OSError as error:
        what = f"what protects the home on the bare host cannot be looked at: {error}"
        raise Unavailable("bare_host_cover", what[:300]) from None
    return {
        place: identity
        for place, identity in found.items()
        if not any(place != other and is_within(place, other) for other in found)
    }


def _identified(protected: Iterable[str], mounts: tuple[MountedAt, ...]) -> Iterator[tuple[str, tuple[int, int]]]:
    for path in protected:
        if not os.path.lexists(path):
            continue
        for place in (path, *other_places(path, _mount_of(path), mounts)):
            if any(is_within(place, own) for own in (*_OWN, _SECOND_SCRATCH)) or not os.path.lexists(place):
                continue
            seen = os.lstat(place)
            yield place, (seen.st_dev, seen.st_ino)


def _closed(given: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the outermost directories above some places that not everybody may pass, such as ``/root``.

    Covered, they hold the way to what was given and nothing else, as a box would; what they hold was closed anyway.
    """
    found: dict[str, tuple[int, int]] = {}
    known: dict[str, bool] = {}
    for place in given:
        if any(is_within(place, own) for own in (*_OWN, _SECOND_SCRATCH)):
            continue
        parts = place.split("/")[1:-1]
        for depth in range(1, len(parts) + 1):
            above = "/" + "/".join(parts[:depth])
            if above not in known:
                known[above] = os.path.isdir(above) and not os.lstat(above).st_mode & 0o001
            if known[above]:
                seen = os.lstat(above)
                found[above] = (seen.st_dev, seen.st_ino)
                break
    return found


def _mount_of(path: str) -> int:
    """Return the number of the mount a path lies on.

    Raises:
        OSError: it cannot be looked at, or the kernel does not say.
    """
    descriptor = open_without_links(path, os.O_PATH)
    try:
        said = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii")
    finally:
        os.close(descriptor)
    for line in said.splitlines():
        name, _, number = line.partition(":")
        if name == "mnt_id":
            return int(number)
    raise OSError(errno.ENOSYS, "the kernel does not say which mount this is on", path)
