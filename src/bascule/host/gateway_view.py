"""The gateway's view of the machine when started by root: the paths it needs, reachable in spite of closed parents.

Stops: the gateway needing rights on the operator's home or on root's just to find its own code. Where a parent of a
needed path cannot be passed by an ordinary account, it is covered by an empty tree in which only the needed paths
appear, at the same absolute path; the gateway sees nothing else of it. Does not hide what any account may see.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bascule.core.errors import Unavailable
from bascule.core.paths import is_within
from bascule.linux.calls import (
    CLONE_NEWNS,
    MountFlag,
    attach_mount,
    clone_mount,
    mount_tmpfs,
    open_without_links,
    restrict_mount,
    stop_propagation,
    unshare,
)

_SKELETON_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class View:
    """What is covered, and which paths then appear below it."""

    covered: Mapping[str, tuple[str, ...]]


def parents(path: str) -> tuple[str, ...]:
    """Every directory above ``path``, outermost first, without the root."""
    parts = path.strip("/").split("/")[:-1]
    return tuple("/" + "/".join(parts[: index + 1]) for index in range(len(parts)))


def plan(needed: Iterable[str], passable: Mapping[str, bool]) -> View:
    """Return the view for needed paths.

    Args:
        needed: absolute paths, links resolved.
        passable: for every parent, whether an ordinary account may pass it.
    """
    wanted = sorted(set(needed))
    outermost = [path for path in wanted if not any(other != path and is_within(path, other) for other in wanted)]
    covered: dict[str, tuple[str, ...]] = {}
    for path in outermost:
        closed = next((parent for parent in parents(path) if not passable[parent]), None)
        if closed is not None:
            covered[closed] = (*covered.get(closed, ()), path)
    return View(covered)


def _passable(path: str) -> bool:
    try:
        return bool(Path(path).stat(follow_symlinks=False).st_mode & 0o001)
    except OSError as error:
        raise Unavailable("view_path", f"{path}: {os.strerror(error.errno or 0)}") from None


def enter(needed: Iterable[str], uid: int) -> None:
    """Move this process into a mount namespace of its own with the view in place; needs full rights.

    Args:
        needed: absolute paths; links are resolved.
        uid: who will use it, for telling which path it could not use.

    Raises:
        Unavailable: a path is missing, or closed itself.
    """
    paths = sorted({os.path.realpath(path) for path in needed})
    view = plan(paths, {parent: _passable(parent) for path in paths for parent in parents(path)})
    try:
        unshare(CLONE_NEWNS)
        stop_propagation(receive=True)
        for covered, shown in view.covered.items():
            _cover(covered, shown)
    except OSError as error:
        raise Unavailable("view_mount", f"the gateway's view cannot be made for uid {uid}: {error.strerror}") from None


def _cover(covered: str, shown: tuple[str, ...]) -> None:
    trees = []
    for path in shown:
        source = open_without_links(path, os.O_PATH)
        is_directory = stat.S_ISDIR(os.fstat(source).st_mode)
        trees.append((path, clone_mount(source, MountFlag(0), recursive=True), is_directory))
        os.close(source)
    mount_tmpfs(covered, mode=0o755, size=_SKELETON_BYTES)
    for path, tree, is_directory in trees:
        Path(path).parent.mkdir(0o755, parents=True, exist_ok=True)
        if is_directory:
            Path(path).mkdir(0o755, exist_ok=True)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        attach_mount(tree, path)
        os.close(tree)
    restrict_mount(covered, MountFlag.READ_ONLY)
