"""Directories of a home, made and handed to whom they belong, through descriptors.

Stops: root being led astray by a link while it hands directories out, an agent owning the directory that holds its
``tools/``, and ``state/`` being readable by an agent. Never goes below a directory that an agent already owns. Does not
stop: the operator giving wider rights afterwards; :func:`verify_home` says so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.core.errors import Tampered, Unavailable
from bascule.core.ids import AgentId
from bascule.core.paths import OWN_DIRECTORIES
from bascule.linux.calls import open_without_links

SHARED = ("packets", "context", "repo")
CANARY = "canary"
"""A file in ``state/`` that only the gateway may read; a box that can read it is no box."""

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MOST_ADOPTED = 100_000
_READ, _ALL = 5, 7

_ACL_VERSION = 2
_OWNER, _USER, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Owners:
    """Uids as the preparing process's user namespace counts them.

    ``lent``: by the name of a directory in ``shared/``, the uids of agents it is lent, and whether to be written.
    """

    operator: int
    gateway: int
    agents: Mapping[AgentId, int]
    lent: Mapping[str, Mapping[int, bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rights:
    """Who may do what with a directory: owner, mode, further accounts, and whether new content inherits that."""

    owner: int
    mode: int
    entries: Mapping[int, int]
    inherited: bool = False


def acl(entries: Mapping[int, int], mode: int) -> bytes:
    """Return the bytes of ``system.posix_acl_access`` or ``_default`` (``linux/posix_acl_xattr.h``).

    Args:
        entries: three permission bits by uid, as this user namespace counts.
        mode: permission bits of owner, group and others.
    """
    owner, group, other = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    mask = group
    for bits in entries.values():
        mask |= bits
    rows = [(_OWNER, owner, _NOBODY)]
    rows += [(_USER, bits, uid) for uid, bits in sorted(entries.items())]
    rows += [(_GROUP, group, _NOBODY), (_MASK, mask, _NOBODY), (_OTHER, other, _NOBODY)]
    return struct.pack("<I", _ACL_VERSION) + b"".join(struct.pack("<HHI", *row) for row in rows)


def prepare_home(path: str, owners: Owners, *, closed: bool = False) -> None:
    """Make and hand out every directory of a home; what is right already is left alone.

    Args:
        path: absolute, links resolved.
        owners: whose is what; the caller needs the right to change owners.
        closed: the home itself stays shut; its gateway is shown parts of it by other means.

    Raises:
        Tampered: a link or a file stands where a directory belongs.
        Unavailable: a directory cannot be made, or the file system keeps no access lists.
    """
    home = _open_home(path)
    try:
        if closed:
            _grant_file(home, "accounts.json", owners.gateway)
        else:
            _let_gateway_in(home, owners)
        state = _directory(home, "state", Rights(owners.gateway, 0o700, {}))
        try:
            _make_canary(state, owners.gateway)
        finally:
            os.close(state)
        for parent, names in (("shared", SHARED), ("agents", ())):
            outer = _directory(home, parent, Rights(owners.operator, 0o755, {}))
            try:
                for name in names:
                    _prepare_shared(outer, name, owners)
                for agent, uid in owners.agents.items() if parent == "agents" else ():
                    _prepare_agent(outer, agent, uid, owners.operator)
            finally:
                os.close(outer)
    except OSError as error:
        raise Unavailable("home_prepare", f"{path} cannot be prepared: {error.strerror}") from None
    finally:
        os.close(home)


def _open_home(path: str) -> int:
    try:
        return open_without_links(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unavailable("home_missing", f"{path}: {os.strerror(error.errno or 0)}") from None


def _let_gateway_in(home: int, owners: Owners) -> None:
    """Let the gateway read the home and the policy files in it, where their modes do not."""
    seen = os.fstat(home)
    if owners.gateway == seen.st_uid:
        return
    _grant(home, {owners.gateway: _READ}, seen.st_mode)
    for name in ("bascule.json5", "exec-approvals.json", "accounts.json"):
        _grant_file(home, name, owners.gateway)
    try:
        prompts = os.open("prompts", _FLAGS, dir_fd=home)
    except FileNotFoundError:
        return
    try:
        _grant_prompts(prompts, owners.gateway)
        for name in os.listdir(prompts):  # noqa: PTH208 -- of a descriptor
            _grant_agent_prompts(prompts, name, owners.gateway)
    finally:
        os.close(prompts)


def _grant_agent_prompts(prompts: int, name: str, gateway: int) -> None:
    """Let the gateway read the prompts of one agent; what is no directory was granted as a file."""
    try:
        inner = os.open(name, _FLAGS, dir_fd=prompts)
    except OSError as error:
        if error.errno in {errno.ENOTDIR, errno.ENOENT, errno.ELOOP}:
            return
        raise
    try:
        _grant_prompts(inner, gateway)
    finally:
        os.close(inner)


def _grant_prompts(directory: int, gateway: int) -> None:
    _grant(directory, {gateway: _READ}, os.fstat(directory).st_mode)
    for name in os.listdir(directory):
        _grant_file(directory, name, gateway)


def _grant_file(directory: int, name: str, uid: int) -> None:
    try:
        descriptor = os.open(name, _FILE_FLAGS, dir_fd=directory)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP}:
            return
        raise
    try:
        seen = os.fstat(descriptor)
        if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1 and not seen.st_mode & 0o004:
            _grant(descriptor, {uid: 4}, seen.st_mode)
    finally:
        os.close(descriptor)


def _grant(descriptor: int, entries: Mapping[int, int], mode: int) -> None:
    try:
        os.setxattr(descriptor, "system.posix_acl_access", acl(entries, mode & 0o777))
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise Unavailable("acl_unsupported", "the home's file system keeps no access lists (ACLs)") from None
        raise


def _directory(parent: int, name: str, rights: Rights) -> int:
    """Make or open one directory, set its rights, and return its descriptor."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise Tampered("directory_replaced", f"{name} is no directory but a link or a file") from None
        raise
    try:
        seen = os.fstat(descriptor)
        if seen.st_uid != rights.owner:
            _adopt(descriptor, rights, [_MOST_ADOPTED])
        elif stat.S_IMODE(seen.st_mode) != rights.mode or rights.entries:
            _set_rights(descriptor, rights)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _set_rights(descriptor: int, rights: Rights) -> None:
    os.fchmod(descriptor, rights.mode)
    if rights.entries:
        _grant(descriptor, rights.entries, rights.mode)
        if rights.inherited:
            # Of what others put here too, such as the operator: else it would be shut to whose directory it is.
            entries = {**rights.entries, rights.owner: _ALL}
            os.setxattr(descriptor, "system.posix_acl_default", acl(entries, rights.mode & 0o777))
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o7000 != rights.mode & 0o7000:
        os.fchmod(descriptor, rights.mode)


def _adopt(directory: int, rights: Rights, budget: list[int]) -> None:
    """Give a directory a new owner, and, where the owner is to own the content too, the plain files in it.

    The content changes hands first: while it does, the new owner has no say over the directory.
    """
    if rights.inherited or rights.mode == 0o700:
        for name in os.listdir(directory):
            budget[0] -= 1
            if budget[0] < 0:
                raise Unavailable("home_too_large", f"more than {_MOST_ADOPTED} files would change hands")
            _adopt_entry(directory, name, rights, budget)
    os.fchown(directory, rights.owner, rights.owner)
    _set_rights(directory, rights)


def _adopt_entry(parent: int, name: str, rights: Rights, budget: list[int]) -> None:
    try:
        inner = os.open(name, _FILE_FLAGS, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.ENOENT}:  # links and sockets stay what and whose they are
            return
        raise
    try:
        seen = os.fstat(inner)
        if stat.S_ISDIR(seen.st_mode):
            _adopt(inner, rights, budget)
        elif stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1:
            os.fchown(inner, rights.owner, rights.owner)
            if rights.entries:
                _grant(inner, {uid: bits & 6 for uid, bits in rights.entries.items()}, seen.st_mode)
    finally:
        os.close(inner)


def _make_canary(state: int, gateway: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(CANARY, flags, 0o600, dir_fd=state)
    try:
        os.fchown(descriptor, gateway, gateway)
        os.fchmod(descriptor, 0o600)
        if not os.fstat(descriptor).st_size:
            os.write(descriptor, b"only the gateway may read this\n")
    finally:
        os.close(descriptor)


def _prepare_agent(agents: int, name: AgentId, uid: int, operator: int) -> None:
    shown = {uid: _READ} if uid != operator else {}
    # Sticky and the operator's: the agent can neither rename nor remove what lies directly in it.
    root = _directory(agents, name, Rights(operator, 0o1755, shown))
    try:
        # What the operator puts here is for this agent, not for every account that comes by a link to it.
        default = acl({**shown, operator: _ALL}, 0o750)
        os.setxattr(root, "system.posix_acl_default", default)
        tools = _directory(root, "tools", Rights(operator, 0o755, {}))
        try:
            _inherit_nothing(tools)  # the gateway must be able to hash what is in it
        finally:
            os.close(tools)
        for own in OWN_DIRECTORIES:
            # Both, whoever made a file: what the operator puts here is the agent's to read and change as well.
            os.close(_directory(root, own, Rights(uid, 0o770, {operator: _ALL, uid: _ALL}, inherited=True)))
    finally:
        os.close(root)


def _prepare_shared(shared: int, name: str, owners: Owners) -> None:
    """Make a directory of ``shared/`` and let in whom policy lends it; which of them sees it is up to their boxes."""
    here = _directory(shared, name, Rights(owners.operator, 0o755, {}))
    try:
        lent = owners.lent.get(name, {}).items()
        entries = {uid: _ALL if writes else _READ for uid, writes in lent if uid != owners.operator}
        if not entries:
            for kind in ("access", "default"):
                _remove_list(here, kind)
            return
        _grant(here, entries, 0o755)
        # Of what any of them puts there too: the others are to find it, and the operator to clear it away.
        default = acl({**entries, owners.operator: _ALL}, 0o750)
        os.setxattr(here, "system.posix_acl_default", default)
    finally:
        os.close(here)


def _inherit_nothing(directory: int) -> None:
    _remove_list(directory, "default")


def _remove_list(directory: int, kind: str) -> None:
    try:
        os.removexattr(directory, f"system.posix_acl_{kind}")
    except OSError as error:
        if error.errno not in {errno.ENODATA, errno.EOPNOTSUPP}:
            raise


def verify_home(path: str, owners: Owners) -> tuple[str, ...]:
    """Return what is wrong with a home's directories, one line each; changes nothing.

    Raises:
        Unavailable: the home cannot be opened.
    """
    home = _open_home(path)
    try:
        wanted: dict[str, tuple[int, int]] = {"state": (owners.gateway, 0o077), "agents": (owners.operator, 0o022)}
        for name, uid in owners.agents.items():
            wanted[f"agents/{name}"] = (owners.operator, 0o002)
            wanted[f"agents/{name}/tools"] = (owners.operator, 0o002)
            wanted |= {f"agents/{name}/{own}": (uid, 0o007) for own in OWN_DIRECTORIES}
        return tuple(problem for name, rule in wanted.items() if (problem := _wrong(home, name, *rule)))
    finally:
        os.close(home)


def _wrong(home: int, name: str, owner: int, forbidden: int) -> str:
    current = os.dup(home)
    try:
        for part in name.split("/"):
            following = os.open(part, _FLAGS, dir_fd=current)
            os.close(current)
            current = following
        seen = os.fstat(current)
    except OSError as error:
        return f"{name}: {os.strerror(error.errno or 0)}"
    finally:
        os.close(current)
    if seen.st_uid != owner:
        return f"{name} belongs to uid {seen.st_uid}, not {owner}"
    if seen.st_mode & forbidden:
        return f"{name} has mode {stat.S_IMODE(seen.st_mode):o}"
    return ""
