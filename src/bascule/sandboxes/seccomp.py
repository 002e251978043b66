"""Seccomp filters as bytes: which system calls a box may make.

Stops: mounts, namespaces, tracing, kernel modules, BPF, io_uring, keyrings, changing modes, attributes and times of
files, links and device nodes, sockets of every family not named, memory files (which would run in spite of noexec
mounts), typing into a terminal, leases that make others wait, asynchronous I/O of which a machine has one supply
(``fs.aio-max-nr``), and every call newer than this list; where programs share a container, also limiting, slowing or
pinning those beside them. Does not stop what ordinary reading and writing can do: that is the mounts' work. Filters
cannot look behind pointers, so ``clone3`` is answered "not implemented" and libraries fall back to ``clone``, whose
flags can be seen.

Numbers are from the kernel's ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from bascule.core.errors import Unavailable

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

_COMMON: Mapping[str, int] = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "fchmodat2": 452,
}

_X86_64: Mapping[str, int] = {
    **_COMMON,
    "mount": 165,
    "umount2": 166,
    "pivot_root": 155,
    "chroot": 161,
    "unshare": 272,
    "setns": 308,
    "bpf": 321,
    "perf_event_open": 298,
    "userfaultfd": 323,
    "keyctl": 250,
    "add_key": 248,
    "request_key": 249,
    "ptrace": 101,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "kcmp": 312,
    "kexec_load": 246,
    "kexec_file_load": 320,
    "create_module": 174,
    "init_module": 175,
    "delete_module": 176,
    "get_kernel_syms": 177,
    "query_module": 178,
    "finit_module": 313,
    "open_by_handle_at": 304,
    "name_to_handle_at": 303,
    "swapon": 167,
    "swapoff": 168,
    "reboot": 169,
    "acct": 163,
    "settimeofday": 164,
    "clock_settime": 227,
    "clock_adjtime": 305,
    "adjtimex": 159,
    "quotactl": 179,
    "nfsservctl": 180,
    "syslog": 103,
    "iopl": 172,
    "ioperm": 173,
    "modify_ldt": 154,
    "uselib": 134,
    "ustat": 136,
    "sysfs": 139,
    "sysctl": 156,
    "personality": 135,
    "lookup_dcookie": 212,
    "vhangup": 153,
    "sethostname": 170,
    "setdomainname": 171,
    "mbind": 237,
    "set_mempolicy": 238,
    "migrate_pages": 256,
    "move_pages": 279,
    "fanotify_init": 300,
    "fanotify_mark": 301,
    "memfd_create": 319,
    "io_setup": 206,
    "chmod": 90,
    "fchmod": 91,
    "fchmodat": 268,
    "setxattr": 188,
    "lsetxattr": 189,
    "fsetxattr": 190,
    "removexattr": 197,
    "lremovexattr": 198,
    "fremovexattr": 199,
    "link": 86,
    "linkat": 265,
    "symlink": 88,
    "symlinkat": 266,
    "mknod": 133,
    "mknodat": 259,
    "utime": 132,
    "utimes": 235,
    "futimesat": 261,
    "utimensat": 280,
}

_AARCH64: Mapping[str, int] = {
    **_COMMON,
    "mount": 40,
    "umount2": 39,
    "pivot_root": 41,
    "chroot": 51,
    "unshare": 97,
    "setns": 268,
    "bpf": 280,
    "perf_event_open": 241,
    "userfaultfd": 282,
    "keyctl": 219,
    "add_key": 217,
    "request_key": 218,
    "ptrace": 117,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "kcmp": 272,
    "kexec_load": 104,
    "kexec_file_load": 294,
    "init_module": 105,
    "delete_module": 106,
    "finit_module": 273,
    "open_by_handle_at": 265,
    "name_to_handle_at": 264,
    "swapon": 224,
    "swapoff": 225,
    "reboot": 142,
    "acct": 89,
    "settimeofday": 170,
    "clock_settime": 112,
    "clock_adjtime": 266,
    "adjtimex": 171,
    "quotactl": 60,
    "nfsservctl": 42,
    "syslog": 116,
    "personality": 92,
    "lookup_dcookie": 18,
    "vhangup": 58,
    "sethostname": 161,
    "setdomainname": 162,
    "mbind": 235,
    "set_mempolicy": 237,
    "migrate_pages": 238,
    "move_pages": 239,
    "fanotify_init": 262,
    "fanotify_mark": 263,
    "memfd_create": 279,
    "io_setup": 0,
    "fchmod": 52,
    "fchmodat": 53,
    "setxattr": 5,
    "lsetxattr": 6,
    "fsetxattr": 7,
    "removexattr": 14,
    "lremovexattr": 15,
    "fremovexattr": 16,
    "linkat": 37,
    "symlinkat": 36,
    "mknodat": 33,
    "utimensat": 88,
}


_LASTING_X86_64 = (29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 220, 240)
_LASTING_AARCH64 = (180, 186, 187, 188, 189, 190, 191, 192, 193, 194, 195, 196)
"""``shmget … msgctl``, ``semtimedop``, ``mq_open``: kernel objects that outlive the process that made them."""

_BESIDE_X86_64, _BESIDE_AARCH64 = (141, 251), (140, 30)
"""``setpriority``, ``ioprio_set``: they also name a whole account, and so whoever lives on when the call is over."""

_OWN_X86_64, _OWN_AARCH64 = (302, 142, 144, 203, 314), (261, 118, 119, 122, 274)
"""``prlimit64``, ``sched_setparam``, ``sched_setscheduler``, ``sched_setaffinity``, ``sched_setattr``: the process they
change comes first, 0 for one's own. The kernel lets an account take away every limit of every process it has."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One architecture: its audit number, the calls a box never makes, and those looked at closer.

    ``accepting`` are ``bind``, ``listen``, ``accept`` and ``accept4``.
    """

    audit: int
    denied: Mapping[str, int]
    clone: int
    socket: int
    ioctl: int
    lasting: tuple[int, ...]
    own: tuple[int, ...]
    accepting: tuple[int, ...]
    setsockopt: int
    fcntl: int
    has_x32: bool = False


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(
        0xC000003E,
        _X86_64,
        clone=56,
        socket=41,
        ioctl=16,
        lasting=_LASTING_X86_64 + _BESIDE_X86_64,
        own=_OWN_X86_64,
        accepting=(49, 50, 43, 288),
        setsockopt=54,
        fcntl=72,
        has_x32=True,
    ),
    "aarch64": Machine(
        0xC00000B7,
        _AARCH64,
        clone=220,
        socket=198,
        ioctl=29,
        lasting=_LASTING_AARCH64 + _BESIDE_AARCH64,
        own=_OWN_AARCH64,
        accepting=(200, 201, 202, 242),
        setsockopt=208,
        fcntl=25,
    ),
}
"""By ``uname -m``."""

_CLONE3 = 435


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


def _deny(number: int, errno: int) -> list[bytes]:
    return [_op(_JUMP_EQUAL, number, 0, 1), _op(_RETURN, _ERRNO | errno)]


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
    for number in sorted({*known.denied.values(), *(known.lasting if shared else ())}):
        code += _deny(number, _EPERM)
    code += _own_process_only(known) if shared else []
    code += _clone_flags(known) + _terminal_requests(known) + _leases(known)
    code += _connecting(known, datagrams=datagrams) if connects else _socket_families(known, families)
    return b"".join([*code, _op(_RETURN, _ALLOW)])
