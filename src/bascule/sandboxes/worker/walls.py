"""The walls a worker builds around itself: no new privileges, no capabilities, Landlock, a seccomp allow-list.

Stops: a worker that is subverted by the bytes it handles from opening anything outside its roots, running a program,
making a process, a socket, a link, a device or executable memory, changing modes or attributes, or signalling. Every
open after the walls must be ``openat2``, which the process calls with links refused. Does not stop: whatever the roots
themselves allow, nor a hole in the kernel; the box around it is the other wall. aarch64 numbers come from the generic
system call table (``include/uapi/asm-generic/unistd.h``) and are exercised only as data.
"""

from __future__ import annotations

import os
import resource
import struct

from bascule.sandboxes.worker.kernel import Memory, call, call_on_text, checked, ignore, prctl

PR_SET_DUMPABLE, PR_GET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 3, 24, 38, 47
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT, OPENAT2 = 444, 445, 446, 437

NO_MAGICLINKS, NO_SYMLINKS, BENEATH = 2, 4, 8
CONFINED = NO_MAGICLINKS | NO_SYMLINKS | BENEATH
"""``resolve`` bits of every open: ``openat2(2)``."""

# Landlock rights on files, include/uapi/linux/landlock.h.
WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
MAKE_DIR, MAKE_REG, REFER, TRUNCATE, IOCTL_DEV = 1 << 7, 1 << 8, 1 << 13, 1 << 14, 1 << 15
READING = READ_FILE | READ_DIR
WRITING = READING | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
ON_A_FILE = READ_FILE | WRITE_FILE | TRUNCATE

SECCOMP = {"x86_64": 317, "aarch64": 277}
CAPSET = {"x86_64": 126, "aarch64": 91}
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000
CAPABILITY_VERSION = 0x20080522
"""``_LINUX_CAPABILITY_VERSION_3``."""

# What remains after start: (x86_64, aarch64).
ALLOWED = {
    "read": (0, 63),
    "write": (1, 64),
    "openat2": (437, 437),
    "close": (3, 57),
    "newfstatat": (262, 79),
    "fstat": (5, 80),
    "statx": (332, 291),
    "lseek": (8, 62),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "getdents64": (217, 61),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "unlinkat": (263, 35),
    "mkdirat": (258, 34),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "getrandom": (318, 278),
    "clock_gettime": (228, 113),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "sched_yield": (24, 124),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
MMAP, MPROTECT, FCNTL = (9, 222), (10, 226), (72, 25)
FCNTL_COMMANDS = (1, 2, 3, 1030)
"""F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC: what listing a directory by descriptor needs."""

TRUNCATE_SINCE = 3
"""Landlock ABI (Linux 6.2) from which on it can refuse that a file is cut short."""

TRUNCATE_CALL, OPEN_CALL, OPENAT_CALL = {"x86_64": 76, "aarch64": 45}, {"x86_64": 2}, {"x86_64": 257, "aarch64": 56}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _EPERM, _EACCES, _ENOSYS, _KILL = 0x7FFF0000, 0x00050001, 0x0005000D, 0x00050026, 0x80000000


def openat2(directory: int, path: bytes, flags: int, mode: int = 0, resolve: int = CONFINED) -> int:
    """Open ``path`` from a directory descriptor, refusing links and anything that leaves it; close-on-exec.

    Raises:
        OSError: ELOOP for a link, EXDEV for leaving the directory, and what ``open(2)`` may give.
    """
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    return checked(call_on_text(OPENAT2, directory, path, how, len(how)))


def ignore_interrupts() -> None:
    """Ignore SIGINT: a person's Ctrl-C on the gateway's terminal must not break an operation half way."""
    ignore(2)


def limit_resources(file_bytes: int, data_bytes: int) -> None:
    """Bound the size of files written, memory held and descriptors; no core dumps. A smaller inherited limit stays.

    Raises:
        OSError: a limit could not be set.
    """
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_DATA: data_bytes,
        resource.RLIMIT_NOFILE: 256,
    }
    for which, most in wanted.items():
        hard = resource.getrlimit(which)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (least, least))


def drop_privileges() -> None:
    """Set no-new-privs, empty every capability set that may be emptied, and become undumpable.

    The bounding set can be emptied only by a process that holds CAP_SETPCAP; what remains shows in the self-test.

    Raises:
        OSError: the kernel refused.
    """
    checked(prctl(PR_SET_NO_NEW_PRIVS, 1))
    for capability in range(64):
        if prctl(PR_CAPBSET_DROP, capability) != 0:
            break
    checked(prctl(PR_CAP_AMBIENT, 4))
    header = Memory(struct.pack("=Ii", CAPABILITY_VERSION, 0))
    nothing = Memory(bytes(24))
    checked(call(CAPSET[os.uname().machine], header.address, nothing.address))
    checked(prctl(PR_SET_DUMPABLE, 0))


def set_dumpable(*, on: bool) -> None:
    """Say whether other processes of this uid may look into this one.

    Raises:
        OSError: the kernel refused.
    """
    checked(prctl(PR_SET_DUMPABLE, int(on)))


def is_dumpable() -> bool:
    """True if other processes of this uid may look into this one."""
    return checked(prctl(PR_GET_DUMPABLE)) != 0


def landlock_abi() -> int:
    """Return the kernel's Landlock ABI, 0 if it has none."""
    return max(0, call(LANDLOCK_CREATE, 0, 0, 1))


def restrict_files(rules: list[tuple[int, int]], port: int = 0, *, connects: bool = False) -> int:
    """Confine this process to the given files and directories by Landlock, and to no network and no foreign signals.

    Args:
        rules: (descriptor of a file or directory, rights on it and below it).
        port: the one TCP port that it may connect to, where Landlock knows TCP; 0 for none.
        connects: it may connect to any TCP port, and bind none; what it reaches is then up to its network.

    Returns:
        The ABI whose rights are in force: 0 if the kernel has no Landlock.

    Raises:
        OSError: the kernel has Landlock but refused.
    """
    abi = landlock_abi()
    if abi == 0:
        return 0
    handled = (1 << 13) - 1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        handled |= right if abi >= since else 0
    attributes = struct.pack("=Q", handled)
    attributes += struct.pack("=Q", 1 if connects else 3) if abi >= 4 else b""  # TCP bind, and connect
    attributes += struct.pack("=Q", 3) if abi >= 6 else b""  # abstract sockets and signals
    block = Memory(attributes)
    ruleset = checked(call(LANDLOCK_CREATE, block.address, len(attributes), 0))
    try:
        for descriptor, rights in rules:
            rule = Memory(struct.pack("=Qi", rights & handled, descriptor))
            checked(call(LANDLOCK_ADD, ruleset, 1, rule.address))
        if port and abi >= 4:
            rule = Memory(struct.pack("=QQ", 2, port))
            checked(call(LANDLOCK_ADD, ruleset, 2, rule.address))
        checked(call(LANDLOCK_RESTRICT, ruleset))
    finally:
        os.close(ruleset)
    return abi


def seccomp_program(machine: str) -> bytes:
    """Return the filter: what :data:`ALLOWED` lists, no executable memory, a few ``fcntl`` commands; the rest is EPERM.

    A system call of another architecture kills the process.

    Raises:
        KeyError: no table for this machine.
    """
    column = ("x86_64", "aarch64").index(machine) if machine in AUDIT_ARCH else -1
    code = [_step(_LOAD, 4), _step(_EQUAL, AUDIT_ARCH[machine], 1, 0), _step(_RETURN, _KILL), _step(_LOAD, 0)]
    if machine == "x86_64":
        code += [_step(_AT_LEAST, X32_BIT, 0, 1), _step(_RETURN, _KILL)]
    for numbers in ALLOWED.values():
        code += [_step(_EQUAL, numbers[column], 0, 1), _step(_RETURN, _ALLOW)]
    for numbers in (MMAP, MPROTECT):  # third argument: protection; 4 is PROT_EXEC
        code += [_step(_EQUAL, numbers[column], 0, 4), _step(_LOAD, 32), _step(_ANY_BIT, 4, 0, 1)]
        code += [_step(_RETURN, _EPERM), _step(_RETURN, _ALLOW)]
    code += [_step(_EQUAL, FCNTL[column], 0, 2 * len(FCNTL_COMMANDS) + 1), _step(_LOAD, 24)]
    for command in FCNTL_COMMANDS:
        code += [_step(_EQUAL, command, 0, 1), _step(_RETURN, _ALLOW)]
    return b"".join([*code, _step(_RETURN, _EPERM)])


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)


def uncut_program(machine: str) -> bytes:
    """Return a filter under which no file is cut short that is not opened for writing, which Landlock can refuse.

    For kernels whose Landlock knows no :data:`TRUNCATE`: there opening with ``O_TRUNC`` needs no right to write
    (``landlock(7)``). ``openat2``, whose flags no filter can see, answers "not implemented". Another architecture's
    calls are left to the filter beside this one.

    Raises:
        KeyError: no numbers for this machine.
    """
    code = [_step(_LOAD, 0), _step(_EQUAL, TRUNCATE_CALL[machine], 0, 1), _step(_RETURN, _EACCES)]
    code += [_step(_EQUAL, OPENAT2, 0, 1), _step(_RETURN, _ENOSYS)]
    for numbers, flags in ((OPEN_CALL, 24), (OPENAT_CALL, 32)):  # where the argument with the flags is
        if machine not in numbers:
            continue
        test = [
            _step(_LOAD, flags),
            _step(_ANY_BIT, os.O_TRUNC, 1, 0),
            _step(_RETURN, _ALLOW),
            _step(_AND, os.O_ACCMODE),
        ]
        # Any other mode, 3 among them, is no opening for writing to Landlock.
        test += [_step(_EQUAL, os.O_WRONLY, 1, 0), _step(_EQUAL, os.O_RDWR, 0, 1), _step(_RETURN, _ALLOW)]
        code += [_step(_EQUAL, numbers[machine], 0, len(test) + 1), *test, _step(_RETURN, _EACCES)]
    return b"".join([*code, _step(_RETURN, _ALLOW)])


def filter_system_calls() -> None:
    """Install the filter on every thread of this process, for good.

    Raises:
        OSError: the kernel refused.
        KeyError: no table for this machine.
    """
    install_filter(seccomp_program(os.uname().machine))


def install_filter(program: bytes) -> None:
    """Install a filter of system calls on every thread of this process, for good; ``no_new_privs`` is set.

    Raises:
        OSError: the kernel refused.
        KeyError: no number for this machine.
    """
    held = Memory(program)
    header = Memory(struct.pack("@HP", len(program) // 8, held.address))
    checked(call(SECCOMP[os.uname().machine], 1, 1, header.address))
