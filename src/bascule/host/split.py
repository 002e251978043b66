"""Splitting a start in two: the warden, which keeps its rights, and the gateway, which gives them up for good.

Stops: the gateway keeping root's rights in any form (uid, groups, capabilities, bounding set, a later program file),
and a box outliving the warden: it is the first process of a process namespace of its own, so that whatever ends it ends
every box. Without root the same warden runs in a user namespace in which the
user's subordinate uids are mapped. Does not stop: root itself, or without root the user's own other programs.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bascule.core.errors import BasculeError, Malformed, NotPermitted, Tampered, Unavailable
from bascule.core.ids import AgentId
from bascule.host import gateway_view
from bascule.host.accounts import Accounts, range_here
from bascule.host.directories import Owners, prepare_home
from bascule.host.site import SHOWN, site_of
from bascule.linux.calls import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    drop_account,
    forbid_new_privileges,
    map_account,
    mount_proc,
    stop_propagation,
    unshare,
)
from bascule.linux.groups import settle
from bascule.linux.userns import forbidding

_START_SECONDS = 30.0
_MAP_PROGRAMS = ("/usr/bin/newuidmap", "/usr/bin/newgidmap")
_KINDS: Mapping[str, type[BasculeError]] = {
    kind.__name__: kind for kind in (Malformed, NotPermitted, Unavailable, Tampered)
}

Command = Callable[[int], tuple[str, ...]]
"""Returns the words that start a warden on an inherited descriptor."""


@dataclass(frozen=True, slots=True)
class Subordinate:
    """The uids and gids an ordinary user may map: ``count`` of each, from ``uid`` and ``gid`` on.

    Without any, the user is mapped alone, and every agent is the user.
    """

    uid: int
    gid: int
    count: int

    def inner(self, uid: int) -> int:
        """Return a host's uid as the warden's user namespace counts it; 0 is the user.

        Raises:
            Unavailable: outside the range.
        """
        if uid == os.getuid():
            return 0
        if not self.uid <= uid < self.uid + self.count:
            raise Unavailable("uid_unmapped", f"kernel uid {uid} is not one of this user's subordinate uids")
        return 1 + uid - self.uid


def subordinate_of(home: Path, table: Accounts) -> Subordinate | None:
    """Return what this account maps for the agents of a home; None as root, who needs no map.

    Raises:
        Unavailable: ``subuid_missing``.
    """
    if os.geteuid() == 0:
        return None
    if table.single:
        return Subordinate(os.getuid(), os.getgid(), 0)
    given = range_here(home)
    return Subordinate(table.base, given.first_gid, min(table.count, given.count))


@dataclass(frozen=True, slots=True)
class Start:
    """What a warden's start needs.

    Attributes:
        home: absolute path, links resolved.
        operator: the home owner's uid, as the host counts.
        gateway: the gateway's.
        agents: every agent's.
        command: starts the warden.
        subordinate: None as root.
        lent: from :func:`bascule.host.agent_names.lent_directories`.
        governing: further files of the policy that the gateway is shown.
    """

    home: str
    operator: int
    gateway: int
    agents: Mapping[AgentId, int]
    command: Command
    subordinate: Subordinate | None = None
    lent: Mapping[str, Mapping[AgentId, bool]] = field(default_factory=dict)
    governing: tuple[str, ...] = ()

    def owners(self) -> Owners:
        """The uids as the warden counts them.

        Raises:
            Unavailable: one is not mapped there.
        """
        operator, gateway, agents = self.operator, self.gateway, dict(self.agents)
        if self.subordinate is not None:
            seen = self.subordinate.inner
            operator, gateway = seen(operator), seen(gateway)
            agents = {name: seen(uid) for name, uid in agents.items()}
        lent = {
            directory: {agents[name]: writes for name, writes in given.items() if name in agents}
            for directory, given in self.lent.items()
        }
        return Owners(operator, gateway, agents, lent)


def start_warden(start: Start) -> socket.socket:
    """Prepare the home, start a warden, and return the gateway's end of its socket; the warden ends when that closes.

    Must be called from a process with one thread.

    Raises:
        BasculeError: what stopped it.
    """
    owners = start.owners()
    settle()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told, tell = os.pipe2(os.O_CLOEXEC)
    waits, go = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        os.close(go)
        _in_child(start, owners, theirs, tell, waits)
    for descriptor in (tell, waits):
        os.close(descriptor)
    theirs.close()
    try:
        if start.subordinate is not None:
            map_ids(child, told, start.subordinate)
        os.write(go, b"g")
        _await_start(told)
    except BaseException as error:
        os.kill(child, signal.SIGKILL)
        ours.close()
        if start.subordinate is not None and isinstance(error, Unavailable) and error.code == "warden_start":
            raise _without_rights(error) from None
        raise
    finally:
        os.close(told)
        os.close(go)
        os.waitpid(child, 0)
    return ours


def _in_child(start: Start, owners: Owners, theirs: socket.socket, tell: int, waits: int) -> None:
    """Never returns: makes the namespaces, prepares the home, and leaves the warden behind as an orphan."""
    try:
        if start.subordinate is not None:
            unshare(CLONE_NEWUSER)
            os.write(tell, b"u\n")
        if not os.read(waits, 1):
            os._exit(1)
        if start.subordinate is not None:
            if start.subordinate.count:
                os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        prepare_home(start.home, owners, closed=site_of(Path(start.home)).installed)
        # The warden's own /proc will show its boxes alone; by this one it finds containers, which Docker makes.
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if start.subordinate is None else -1
        unshare(CLONE_NEWNS | CLONE_NEWPID)
        stop_propagation(receive=True)
        if os.fork() == 0:
            _become_warden(start.command(theirs.fileno()), theirs, proc)
        os._exit(0)
    except BasculeError as error:
        said = {"kind": type(error).__name__, "code": error.code, "message": error.message, "remedy": error.remedy}
        os.write(tell, json.dumps(said).encode() + b"\n")
    except OSError as error:
        said = {"kind": "Unavailable", "code": "warden_start", "message": str(error)[:300], "remedy": ""}
        os.write(tell, json.dumps(said).encode() + b"\n")
    finally:
        os._exit(1)


def _become_warden(command: tuple[str, ...], theirs: socket.socket, proc: int) -> None:
    os.setsid()
    mount_proc("/proc")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.set_inheritable(theirs.fileno(), True)  # noqa: FBT003 -- the standard library's signature
    if proc >= 0:
        os.set_inheritable(proc, True)  # noqa: FBT003 -- the standard library's signature
    os.chdir("/")
    os.execve(command[0], (*command, str(proc)), {})  # noqa: S606 -- the words are a list built by us


def _read_line(told: int, deadline: float) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([told], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise Unavailable("warden_start", "the warden did not start in time")
        byte = os.read(told, 1)
        if not byte:
            break
        line += byte
    return line


def _await_start(told: int) -> None:
    """Return when every copy of the pipe is closed, as happens when the warden's program takes over."""
    line = _read_line(told, time.monotonic() + _START_SECONDS)
    if not line:
        return
    said = json.loads(line)
    raise _KINDS.get(said["kind"], Unavailable)(said["code"], said["message"], said["remedy"])


def map_ids(child: int, told: int, subordinate: Subordinate) -> None:
    """Map ids into the user namespace of a fresh child: 0 is the user, from 1 on come the subordinate ones.

    Args:
        child: its pid.
        told: the pipe on which it says ``u`` and a newline once its namespace stands, or an error as JSON.
        subordinate: what to map.

    Raises:
        Unavailable: the child made no namespace, or the ids cannot be mapped.
    """
    line = _read_line(told, time.monotonic() + _START_SECONDS)
    if line != b"u\n":
        detail = json.loads(line)["message"] if line else "no answer"
        raise _no_namespace(detail)
    if not subordinate.count:
        _map_alone(child)
        return
    pairs = ((_MAP_PROGRAMS[0], os.getuid(), subordinate.uid), (_MAP_PROGRAMS[1], os.getgid(), subordinate.gid))
    for program, own, first in pairs:
        words = [program, str(child), "0", str(own), "1", "1", str(first), str(subordinate.count)]
        try:
            done = subprocess.run(  # noqa: S603 -- a fixed program and numbers
                words, capture_output=True, text=True, timeout=_START_SECONDS, check=False, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable("uidmap_missing", f"{program}: {error}", "install the package uidmap") from None
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it failed"])[0][:200]
            raise Unavailable("uidmap_refused", f"{program}: {said}", "see /etc/subuid and /etc/subgid")


def _no_namespace(detail: str) -> Unavailable:
    setting = forbidding()
    if setting is None:
        what, remedy = detail, "allow this account to make user namespaces"
    else:
        what, remedy = f"{detail}; {setting.name} is {setting.forbids}", setting.remedy
    return Unavailable("userns_unavailable", f"this account cannot make a user namespace: {what}", remedy)


def _without_rights(error: Unavailable) -> Unavailable:
    """A user namespace was made; where every right in it is denied, name what denies it."""
    return error if forbidding() is None else _no_namespace(error.message)


def _map_alone(child: int) -> None:
    try:
        map_account(str(child), 0, os.getuid(), os.getgid())
    except OSError as error:
        raise _no_namespace(f"{error.strerror}") from None


def needed_paths(home: str, source: str) -> tuple[str, ...]:
    """The paths a gateway needs: its home, its Python and its code.

    Of an installed home it is shown what it works on, at the usual names, and never the directory itself, which is
    root's alone: so the gateway cannot put another tree in the place of one of them.
    """
    site = site_of(Path(home))
    own = (home,) if not site.installed else (str(site.config), *(f"{home}/{part}" for part in SHOWN))
    return (*own, sys.prefix, sys.base_prefix, source)


def become_gateway(paths: Iterable[str], uid: int) -> None:
    """Turn this process, started as root, into the gateway: its view of the machine, its account, nothing else.

    Args:
        paths: what must be reachable, from :func:`needed_paths`.
        uid: the gateway's kernel uid, not 0.

    Raises:
        Unavailable: the view cannot be made, or the account not be dropped.
    """
    needed = tuple(paths)
    gateway_view.enter(needed, uid)
    try:
        drop_account(uid, uid)
        forbid_new_privileges()
    except (OSError, ValueError) as error:
        raise Unavailable("gateway_account", f"cannot become uid {uid}: {error}") from None
    for path in needed:
        if not os.access(path, os.R_OK | os.X_OK if Path(path).is_dir() else os.R_OK):
            raise Unavailable("view_path", f"the gateway (uid {uid}) may not read {path}", f"chmod o+rx {path}")


def exec_module(module: str, arguments: Iterable[str], descriptors: Iterable[int]) -> None:
    """Replace this process by a fresh Python running ``module``; ``descriptors`` stay open. Does not return.

    Raises:
        OSError: Python cannot be started.
    """
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 -- the standard library's signature
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606 -- our own interpreter
