"""System calls by number: those a box never makes, and those whose arguments a filter looks at.

Stops: nothing by itself; ``seccomp.py`` makes filters of these tables.

Numbers are from the kernel's ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
