"""Seccomp filters as bytes: which system calls a box may make.

Stops: mounts, namespaces, tracing, kernel modules, BPF, io_uring, keyrings, changing modes, attributes and times of
files, links and device nodes, sockets of every family not named, memory files (which would run in spite of noexec
mounts), typing into a terminal, leases that make others wait, asynchronous I/O of which a machine has one supply
(``fs.aio-max-nr``), and every call newer than this list; where programs share a container, also limiting, slowing or
pinning those beside them. Does not stop what ordinary reading and writing can do: that is the mounts' work. Filters
cannot look behind pointers, so ``clone3`` is answered "not implemented" and libraries fall back to ``clone``, whose
flags can be seen.
"""

from __future__ import annotations

import struct

from bascule.core.errors import Unavailable
from bascule.sandboxes.syscalls import MACHINES, Machine

AF_UNIX = 1
AF_INET = 2

_STREAMS = (1, 1 | 0x800, 1 | 0x80000, 1 | 0x80800)
"""``SOCK_STREAM``, alone and with ``SOCK_NONBLOCK`` and ``SOCK_CLOEXEC``."""

_TCP = (0, 6)
"""The default protocol of a stream socket, and its number: no MPTCP, no SCTP."""

_DATAGRAMS = tuple(kind + 1 for kind in _STREAMS)
"""``SOCK_DGRAM``, likewise."""

_UDP = (0, 17)
"""The default protocol of a datagram socket, and its number: no ICMP, no UDP-Lite."""

_STEERING = ((0, 3), (0, 4), (0, 15), (0, 19), (0, 35), (0, 39), (0, 42), (0, 46), (0, 50), (1, 25), (1, 36), (1, 62))
"""``IP_HDRINCL OPTIONS FREEBIND TRANSPARENT``, ``IP_ADD_MEMBERSHIP ADD_SOURCE_MEMBERSHIP``, ``MCAST_JOIN_GROUP
JOIN_SOURCE_GROUP``, ``IP_UNICAST_IF``, ``SO_BINDTODEVICE MARK BINDTOIFINDEX``: where packets go besides their address.
"""

_ODD_OPTIONS = ((1, 26), (1, 50), (1, 51), (1, 52), (6, 31))
"""``SO_ATTACH_FILTER ATTACH_BPF ATTACH_REUSEPORT_CBPF ATTACH_REUSEPORT_EBPF``, and ``TCP_ULP``, which loads modules."""

_LOAD, _JUMP_ALWAYS, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_X32_BIT = 0x40000000
_NEWEST_KNOWN = 462
"""``mseal``, Linux 6.10; later calls answer "not implemented"."""

_NAMESPACE_FLAGS = 0x7E020000
"""``CLONE_NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET``; ``clone`` cannot ask for a time namespace."""

_TERMINAL_REQUESTS = (0x5412, 0x541C)
"""``TIOCSTI`` types into the terminal, ``TIOCLINUX`` pastes into a console."""

_LEASE = 1024
"""``F_SETLEASE``: whoever opens a leased file waits until its holder lets go, 45 seconds by default."""

_CLONE3 = 435


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


def _deny(number: int, errno: int) -> list[bytes]:
    return [_op(_JUMP_EQUAL, number, 0, 1), _op(_RETURN, _ERRNO | errno)]


def _spans(numbers: list[int]) -> list[tuple[int, int]]:
    """Return numbers in order as first and last of those that follow one another."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _deny_spans(spans: list[tuple[int, int]]) -> list[bytes]:
    """Refuse every number of these spans; others go on behind.

    A search that halves, for the kernel runs a new filter once for every call there is, to find out which it may allow
    from then on without asking: each question less saves every box some hundred answers before its program starts.
    """
    if len(spans) == 1:
        first, last = spans[0]
        if first == last:
            return _deny(first, _EPERM)
        beyond = [_op(_JUMP_AT_LEAST, last + 1, 1, 0), _op(_RETURN, _ERRNO | _EPERM)]
        return [_op(_JUMP_AT_LEAST, first, 0, len(beyond)), *beyond]
    half = len(spans) // 2
    high = _deny_spans(spans[half:])
    low = [*_deny_spans(spans[:half]), _op(_JUMP_ALWAYS, len(high))]
    return [_op(_JUMP_AT_LEAST, spans[half][0], len(low), 0), *low, *high]


def _prologue(machine: Machine) -> list[bytes]:
    """A call of another architecture kills the process: its numbers would mean other things."""
    code = [_op(_LOAD, 4), _op(_JUMP_EQUAL, machine.audit, 1, 0), _op(_RETURN, _KILL_PROCESS), _op(_LOAD, 0)]
    if machine.has_x32:
        code += [_op(_JUMP_AT_LEAST, _X32_BIT, 0, 1), _op(_RETURN, _KILL_PROCESS)]
    code += [_op(_JUMP_AT_LEAST, _NEWEST_KNOWN + 1, 0, 1), _op(_RETURN, _ERRNO | _ENOSYS)]
    return code + _deny(_CLONE3, _ENOSYS)


def _when_argument(number: int, offset: int, test: list[bytes]) -> list[bytes]:
    """Run ``test`` on the low half of one argument of one call; other calls skip it."""
    return [_op(_JUMP_EQUAL, number, 0, len(test) + 1), _op(_LOAD, offset), *test]


def _clone_flags(machine: Machine) -> list[bytes]:
    test = [_op(_JUMP_ANY_BIT, _NAMESPACE_FLAGS, 0, 1), _op(_RETURN, _ERRNO | _EPERM), _op(_RETURN, _ALLOW)]
    return _when_argument(machine.clone, 16, test)


def _socket_families(machine: Machine, families: tuple[int, ...]) -> list[bytes]:
    count = len(families)
    allowed = [_op(_JUMP_EQUAL, family, count - index, 0) for index, family in enumerate(families)]
    test = [*allowed, _op(_RETURN, _ERRNO | _EAFNOSUPPORT), _op(_RETURN, _ALLOW)]
    return _when_argument(machine.socket, 16, test)


def _own_process_only(machine: Machine) -> list[bytes]:
    test = [_op(_JUMP_EQUAL, 0, 1, 0), _op(_RETURN, _ERRNO | _EPERM), _op(_RETURN, _ALLOW)]
    return [step for number in machine.own for step in _when_argument(number, 16, test)]


def _one_of(values: tuple[int, ...]) -> list[bytes]:
    """Go on if what was loaded is one of these, else refuse the socket."""
    count = len(values)
    found = [_op(_JUMP_EQUAL, value, count - index, 0) for index, value in enumerate(values)]
    return [*found, _op(_RETURN, _ERRNO | _EAFNOSUPPORT)]


def _connecting(machine: Machine, *, datagrams: bool) -> list[bytes]:
    """Sockets of TCP over IPv4, or of UDP too, which connect and never listen."""
    streams = [_op(_LOAD, 32), *_one_of(_TCP), _op(_RETURN, _ALLOW)]
    test = [*_one_of((AF_INET,)), _op(_LOAD, 24)]
    if datagrams:
        # Each kind goes with its own protocols: what is no datagram skips what holds for them.
        packets = [_op(_LOAD, 32), *_one_of(_UDP), _op(_RETURN, _ALLOW)]
        count = len(_DATAGRAMS)
        test += [_op(_JUMP_EQUAL, kind, count - index, 0) for index, kind in enumerate(_DATAGRAMS)]
        test += [_op(_JUMP_ALWAYS, len(packets)), *packets]
    code = _when_argument(machine.socket, 16, [*test, *_one_of(_STREAMS), *streams])
    for number in machine.accepting:
        code += _deny(number, _EPERM)
    # Level and name of an option stand in two arguments: each pair is compared on its own.
    pairs = []
    for level, name in (*_ODD_OPTIONS, *(_STEERING if datagrams else ())):
        pairs += [_op(_LOAD, 24), _op(_JUMP_EQUAL, level, 0, 3), _op(_LOAD, 32), _op(_JUMP_EQUAL, name, 0, 1)]
        pairs += [_op(_RETURN, _ERRNO | _EPERM)]
    return [*code, _op(_JUMP_EQUAL, machine.setsockopt, 0, len(pairs) + 1), *pairs, _op(_RETURN, _ALLOW)]


def _terminal_requests(machine: Machine) -> list[bytes]:
    first, second = _TERMINAL_REQUESTS
    test = [
        _op(_JUMP_EQUAL, first, 1, 0),
        _op(_JUMP_EQUAL, second, 0, 1),
        _op(_RETURN, _ERRNO | _EPERM),
        _op(_RETURN, _ALLOW),
    ]
    return _when_argument(machine.ioctl, 24, test)


def _leases(machine: Machine) -> list[bytes]:
    test = [_op(_JUMP_EQUAL, _LEASE, 0, 1), _op(_RETURN, _ERRNO | _EPERM), _op(_RETURN, _ALLOW)]
    return _when_argument(machine.fcntl, 24, test)


def box_filter(
    machine: str,
    families: tuple[int, ...] = (),
    *,
    shared: bool = False,
    connects: bool = False,
    datagrams: bool = False,
) -> bytes:
    """Return the filter every box starts under, an array of 8-byte ``sock_filter``; the file worker adds its own.

    Args:
        machine: as ``uname -m`` says.
        families: socket families it may use; none by default. ``socketpair`` is not a way out and stays.
        shared: calls share a namespace, so it may make nothing there that outlives its process, and change no other.
        connects: instead of families: it may connect by TCP over IPv4, to whatever its own network holds, and no more.
        datagrams: where it connects, by UDP as well, and it may not steer packets past its route.

    Raises:
        Unavailable: an architecture without a table.
    """
    known = MACHINES.get(machine)
    if known is None:
        raise Unavailable("seccomp_architecture", f"no system call table for the architecture {machine!r}")
    code = _prologue(known)
    code += _deny_spans(_spans(sorted({*known.denied.values(), *(known.lasting if shared else ())})))
    code += _own_process_only(known) if shared else []
    code += _clone_flags(known) + _terminal_requests(known) + _leases(known)
    code += _connecting(known, datagrams=datagrams) if connects else _socket_families(known, families)
    return b"".join([*code, _op(_RETURN, _ALLOW)])
