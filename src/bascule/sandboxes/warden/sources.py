"""Opening what goes into a box: without following links, checked after opening, mounted from that very descriptor.

Stops: the file that was checked and the file that is mounted being two files. Everything here works on descriptors;
a path is walked once, and no component of it may be a link.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.core.errors import BasculeError, Tampered, Unavailable
from bascule.linux.calls import MountFlag, clone_mount, open_without_links
from bascule.sandboxes.warden.stage import Bind, Stage

_CHUNK = 1 << 20
_MOST_TOOLS = 4096


@dataclass(slots=True)
class OpenMount:
    """A detached mount waiting to be attached at ``target``; one that is ``whole`` comes before all others."""

    tree: int
    target: str
    is_directory: bool
    whole: bool = False


@dataclass(slots=True)
class Hashes:
    """SHA-256 of files by what the kernel says of their identity; any change of content changes the change time."""

    _known: dict[tuple[int, int, int, int, int], str] = field(default_factory=dict)

    def of(self, descriptor: int) -> str:
        """Return the hex digest of an open regular file's content."""
        seen = os.fstat(descriptor)
        key = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        if key not in self._known:
            if len(self._known) > 1024:
                self._known.clear()
            self._known[key] = _hash(descriptor)
        return self._known[key]


def _hash(descriptor: int) -> str:
    running = hashlib.sha256()
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        running.update(chunk)
        offset += len(chunk)
    return running.hexdigest()


def _open(path: str, flags: int) -> int:
    try:
        return open_without_links(path, flags)
    except OSError as error:
        raise unopened(path, error) from None


def unopened(path: str, error: OSError) -> Unavailable:
    """Return why a source is mounted into no box, in words: a link's own error speaks of levels."""
    if error.errno == errno.ENOENT:
        return Unavailable("box_source", f"{path} is not there", "only what exists can be lent to a box: make it first")
    if error.errno == errno.ELOOP:
        remedy = "name what it leads to"
        return Unavailable("box_source", f"{path} is or passes through a link, which no box follows", remedy)
    return Unavailable("box_source", f"{path}: {os.strerror(error.errno or 0)}")


def _clone(descriptor: int, bind: Bind) -> OpenMount:
    flags = MountFlag.NO_SETUID | MountFlag.NO_DEVICES
    if not bind.writable:
        flags |= MountFlag.READ_ONLY
    if not bind.executable:
        flags |= MountFlag.NO_EXEC
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise Unavailable("box_source", f"{bind.source} is neither a regular file nor a directory")
    try:
        tree = clone_mount(descriptor, flags, recursive=bind.whole)
    except OSError as error:
        raise Unavailable("box_mount", f"{bind.source} cannot be mounted: {os.strerror(error.errno or 0)}") from None
    return OpenMount(tree, bind.target, stat.S_ISDIR(mode), bind.whole)


def open_stage(
    stage: Stage, expected: Mapping[str, str], hashes: Hashes, agent_uids: frozenset[int]
) -> list[OpenMount]:
    """Open every source of a stage and return its mounts, detached; the caller closes them.

    Args:
        stage: what the box contains.
        expected: hash by host path, of the files that were judged.
        hashes: remembered ones.
        agent_uids: uids of agents, as this user namespace counts; none may own what is executable.

    Raises:
        Unavailable: a source is missing, a link, or of the wrong type.
        Tampered: a file is not what was judged, or an agent could have changed it.
    """
    unseen = expected.keys() - {bind.source for bind in stage.binds}
    if unseen:  # a program named through a link lies in the stage under another path, where nobody compares its hash
        raise Tampered("program_changed", f"{min(unseen)} is not where it was judged", "make the call again")
    opened: list[OpenMount] = []
    try:
        opened.extend(_open_bind(bind, expected.get(bind.source), hashes, agent_uids) for bind in stage.binds)
    except (BasculeError, OSError):
        close_all(opened)
        raise
    return opened


def _open_bind(bind: Bind, wanted: str | None, hashes: Hashes, agent_uids: frozenset[int]) -> OpenMount:
    flags = os.O_PATH if wanted is None else os.O_RDONLY | os.O_NONBLOCK
    descriptor = _open(bind.source, flags)
    try:
        if bind.executable and not bind.whole:
            refuse_agents_file(os.fstat(descriptor), bind.source, agent_uids)
        if wanted is not None and hashes.of(descriptor) != wanted:
            raise Tampered("program_changed", f"{bind.source} is not the file that was judged", "make the call again")
        return _clone(descriptor, bind)
    finally:
        os.close(descriptor)


def refuse_agents_file(seen: os.stat_result, path: str, agent_uids: frozenset[int]) -> None:
    """Refuse an executable that an agent could have written.

    Raises:
        Tampered: it belongs to an agent, or everyone (or an agent's group) may write it.
    """
    loose = seen.st_mode & 0o002 or (seen.st_mode & 0o020 and seen.st_gid in agent_uids)
    if seen.st_uid in agent_uids or (loose and not stat.S_ISLNK(seen.st_mode)):
        raise Tampered("program_loose", f"{path} could be changed by an agent", "chown it to root and chmod go-w it")


def check_tools(root: str, agent_uids: frozenset[int]) -> str:
    """Return why an agent's ``tools/`` may not be mounted, empty if it may.

    Args:
        root: the agent's directory.
        agent_uids: as this user namespace counts.
    """
    try:
        descriptor = open_without_links(f"{root}/tools", os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        return f"tools/ cannot be opened: {os.strerror(error.errno or 0)}"
    try:
        refuse_agents_file(os.fstat(descriptor), f"{root}/tools", agent_uids)
        _walk_tools(descriptor, f"{root}/tools", agent_uids, _MOST_TOOLS)
    except Tampered as problem:
        return problem.message
    except OSError as error:
        return f"tools/ cannot be read: {os.strerror(error.errno or 0)}"
    finally:
        os.close(descriptor)
    return ""


def _walk_tools(directory: int, path: str, agent_uids: frozenset[int], budget: int) -> int:
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        budget -= 1
        if budget < 0:
            raise Tampered("tools_too_many", f"tools/ holds more than {_MOST_TOOLS} files")
        seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
        refuse_agents_file(seen, f"{path}/{name}", agent_uids)
        if stat.S_ISDIR(seen.st_mode):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(name, flags, dir_fd=directory)
            try:
                budget = _walk_tools(inner, f"{path}/{name}", agent_uids, budget)
            finally:
                os.close(inner)
    return budget


def close_all(opened: list[OpenMount]) -> None:
    """Close every detached mount; attached ones stay."""
    for mount in opened:
        os.close(mount.tree)
    opened.clear()
