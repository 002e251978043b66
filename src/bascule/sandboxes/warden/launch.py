"""Making one box: fork, lay the root out, join the limits, become the agent, hand over to bubblewrap.

Stops: anything running with the warden's rights between its fork and the program. The mounts are made before the
account is dropped, the account is dropped before bubblewrap starts, and the box has a process namespace whose first
process is bubblewrap: when that one is dead, all are. Does not stop: flaws of the kernel's namespaces.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bascule.core.confinement import Limits
from bascule.linux.calls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    MountFlag,
    attach_mount,
    become_account,
    change_root,
    die_with_parent,
    drop_bounding_set,
    keep_only_account,
    mount_proc,
    mount_tmpfs,
    stop_propagation,
    unshare,
)
from bascule.linux.loopback import connect_only_to, open_listener, raise_loopback
from bascule.sandboxes.bubblewrap.argv import STAGE
from bascule.sandboxes.warden.cgroups import Group
from bascule.sandboxes.warden.laying import clone, lay_first, lay_out
from bascule.sandboxes.warden.nursery import Nursery
from bascule.sandboxes.warden.order import Order, Spare, take_order
from bascule.sandboxes.warden.sources import OpenMount, close_all
from bascule.sandboxes.warden.stage import DEVICES
from bascule.sandboxes.way import PORT

STATUS_FD = 3
SECCOMP_FD = 4
BLOCK_FD = 5
_BEYOND = 10
"""Descriptors are copied above this first, so that none is overwritten while they are put in place."""

_BASE = STAGE.rpartition("/")[0]
_ROOT_BYTES = 4 << 20
_MERGED = ("bin", "sbin", "lib", "lib64")
_PROGRAMS = MountFlag.READ_ONLY | MountFlag.NO_SETUID | MountFlag.NO_DEVICES
_DEVICE = MountFlag.NO_SETUID | MountFlag.NO_EXEC
_MOST_DESCRIPTORS = 4096

_OPEN_FILES = 1024

_HOST_NAME = "box"


@dataclass(frozen=True, slots=True)
class Filters:
    """System call filters of boxes: without any network, and with a way out."""

    closed: bytes
    way: bytes


def make_spare(nursery: Nursery, group: Group) -> Spare:
    """Make a child that waits for one order, in a control group.

    Raises:
        OSError: no process can be made.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            pid = nursery.make(json.dumps([str(directory) for directory in group.directories]).encode(), theirs)
        except OSError:
            ours.close()
            raise
    return Spare(pid, ours, group)


def read_group(told: bytes) -> Group:
    """Return the group of :func:`make_spare`, as the child was told."""
    return Group(tuple(Path(directory) for directory in json.loads(told)))


def become_spare(orders: socket.socket, group: Group, filters: Filters) -> None:
    """Never returns: waits for its order, then becomes bubblewrap, or reports and exits.

    Args:
        orders: where the order comes from.
        group: control group it joins.
        filters: of which its box will start under one.
    """
    report = -1
    try:
        # Whoever holds a copy of another's socket keeps its peer from noticing that the other is gone.
        os.closerange(3, orders.fileno())
        os.closerange(orders.fileno() + 1, _MOST_DESCRIPTORS)
        problem = _attempt(lambda: _prepare(group))
        order = take_order(orders)
        report = order.status
        if problem is not None:
            raise problem
        _furnish(order, filters)
        os.execv(order.bubblewrap, order.command)  # noqa: S606 -- the words are a list built by argv.py
    except (OSError, ValueError) as error:
        if report >= 0:
            said = {"error": {"code": "box_setup", "message": str(error)[:300]}}
            os.write(report, json.dumps(said).encode() + b"\n")
    finally:
        os._exit(125)


def _attempt(step: Callable[[], None]) -> OSError | None:
    """Keep a failure until there is someone to tell."""
    try:
        step()
    except OSError as error:
        return error
    return None


def _prepare(group: Group) -> None:
    """What needs no order."""
    os.umask(0o022)
    os.chdir("/")
    unshare(CLONE_NEWNS)
    stop_propagation()
    group.join()
    _leave_company()
    Path("/proc/self/oom_score_adj").write_text("500", "ascii")
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    devices = [OpenMount(clone(f"/dev/{name}", _DEVICE), f"/dev/{name}", is_directory=False) for name in DEVICES]
    _leave_host()
    mount_tmpfs(STAGE, mode=0o755, size=_ROOT_BYTES)
    for name in ("proc", "dev", "tmp", "etc"):
        os.mkdir(f"{STAGE}/{name}", 0o755)
    for place in _MERGED:
        if os.path.islink(f"/{place}"):
            os.symlink(os.readlink(f"/{place}"), f"{STAGE}/{place}")
    lay_first(devices)
    close_all(devices)
    drop_bounding_set()


def _leave_company() -> None:
    """Leave the host's network, name and System V objects for empty ones, in which loopback is all there is.

    Made ahead, for a network takes the kernel most of a millisecond; and while every right is still there, so that they
    belong to this user namespace and the box, in one of its own or without rights in this one, can change nothing of
    them.
    """
    unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
    raise_loopback()
    socket.sethostname(_HOST_NAME)


def _leave_host() -> None:
    """Trade the host's tree for one that holds ``/usr`` and an empty stage: all that bubblewrap needs.

    What goes into a box comes as mounts that are open already, and a namespace of few mounts is quicker to copy.
    """
    kept = [("usr", clone("/usr", _PROGRAMS))]
    kept += [
        (place, clone(f"/{place}", _PROGRAMS))
        for place in _MERGED
        if os.path.isdir(f"/{place}") and not os.path.islink(f"/{place}")
    ]
    links = {place: os.readlink(f"/{place}") for place in _MERGED if os.path.islink(f"/{place}")}
    mount_tmpfs(_BASE, mode=0o755, size=_ROOT_BYTES)
    for name in ("proc", "tmp", "old", *(place for place, _ in kept)):
        os.mkdir(f"{_BASE}/{name}", 0o755)
    for place, tree in kept:
        attach_mount(tree, f"{_BASE}/{place}")
        os.close(tree)
    for place, target in links.items():
        os.symlink(target, f"{_BASE}/{place}")
    # bubblewrap looks its children up in /proc by the numbers they have in this process namespace.
    mount_proc(f"{_BASE}/proc")
    change_root(_BASE, "old")
    os.mkdir(STAGE, 0o755)


def _furnish(order: Order, filters: Filters) -> None:
    """What the order says; the last step gives up every right."""
    lay_out(order.stage, order.mounts)
    if order.way is not None:
        _open_way(order.way)
    # Before the limits: a file size limit smaller than the filter would cut it.
    _place_descriptors(order, filters.closed if order.way is None else filters.way)
    _set_limits(order.limits, order.processes)
    if order.single:
        keep_only_account(order.uid)
    else:
        become_account(order.uid, order.uid)
    die_with_parent(signal.SIGKILL)
    if order.way is not None:
        connect_only_to(PORT)


def _open_way(way: int) -> None:
    """Make the only listener of the box's network and send it out over a socket; nothing of it stays here."""
    with open_listener(PORT) as listener, socket.socket(fileno=way) as out:
        socket.send_fds(out, [b"w"], [listener.fileno()], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def _set_limits(limits: Limits, processes: int) -> None:
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_NOFILE: min(_OPEN_FILES, limits.open_files),
        # Counted over all processes of the account, so those of its other boxes must fit beside it.
        resource.RLIMIT_NPROC: limits.pids + processes,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for name, value in wanted.items():
        _, hard = resource.getrlimit(name)
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (least, least))


def _place_descriptors(order: Order, seccomp: bytes) -> None:
    memory = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    os.write(memory, seccomp)
    os.lseek(memory, 0, os.SEEK_SET)
    wanted = {
        0: order.streams[0],
        1: order.streams[1],
        2: order.streams[2],
        STATUS_FD: order.status,
        SECCOMP_FD: memory,
    }
    if order.block is not None:
        wanted[BLOCK_FD] = order.block
    high = {place: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _BEYOND) for place, source in wanted.items()}
    for place, source in high.items():
        os.dup2(source, place, inheritable=True)
