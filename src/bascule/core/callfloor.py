"""What stays refused to a container whatever an operator's profile allows: none loosens what Docker's own forbids.

Stops: an own profile, which an engine puts in the place of its default, letting through what that default refuses: a
profile's rules pass only for calls that the default lets through too, under the default's own conditions, and for the
one architecture of the machine. Does not stop what both allow; each program has our filter on top, which is stricter.

The calls are those that the default of Docker 20.10.24, measured from the kernel, and that of Docker 28
(``profiles/seccomp/default.json``) both let through to a process without capabilities; the stricter word counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bascule.core.callprofile import MASKED, Condition, Profile, Rule
from bascule.core.canonical import Json

_NAMES = """
    accept accept4 access adjtimex alarm arch_prctl bind brk capget capset chdir chmod chown clock_adjtime clock_getres
    clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create
    epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve
    execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat fchown
    fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex
    futex_waitv futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid
    getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit
    getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr inotify_add_watch inotify_init
    inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl ioprio_get
    ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen
    listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise membarrier memfd_create mincore mkdir mkdirat mknod
    mknodat mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink
    mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat open openat openat2 pause
    pidfd_open pidfd_send_signal pipe pipe2 poll ppoll prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6
    pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages
    removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop
    semtimedop sendfile sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid
    setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setsockopt setuid
    setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socketpair splice stat statfs statx
    symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun
    timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask uname unlink
    unlinkat utime utimensat utimes vfork vmsplice wait4 waitid write writev
"""

PASSED = frozenset(_NAMES.split())
"""Calls that the default lets through without a condition."""

FAMILIES = (1, 2)
"""``AF_UNIX`` and ``AF_INET``: the sockets that our own processes and programs with a way out make."""

NAMESPACE_FLAGS = 0x7E020000
"""``CLONE_NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET``: none of them in a ``clone`` that passes."""

_NO_NAMESPACE = Condition(0, MASKED, NAMESPACE_FLAGS)


def engine_profile(profile: Profile) -> dict[str, Json]:
    """Return what an engine is given for a profile: the profile, less all that its default refuses."""
    body: dict[str, Json] = {"defaultAction": profile.default}
    body |= {} if profile.errno is None else {"defaultErrnoRet": profile.errno}
    rules = [_written(rule) for rule in narrowed(profile)]
    return {**body, "architectures": [profile.architecture], "syscalls": rules}


def narrowed(profile: Profile) -> tuple[Rule, ...]:
    """Return the rules that are left; what they no longer speak of meets the default, which refuses."""
    return tuple(left for rule in profile.rules for left in (_left(rule) if rule.passes else (rule,)))


def _left(rule: Rule) -> Iterator[Rule]:
    names = tuple(name for name in rule.names if name in PASSED)
    if names:
        yield replace(rule, names=names)
    if "clone" in rule.names:
        yield from _clone(rule)
    if "socket" in rule.names:
        yield from _socket(rule)


def _clone(rule: Rule) -> Iterator[Rule]:
    """Keep the flags' condition and no other on that argument: two of them cannot be joined in one rule."""
    others = tuple(condition for condition in rule.conditions if condition.index != 0)
    own = tuple(condition for condition in rule.conditions if condition.index == 0)
    # A mask of more flags, none of which may be set, is stricter, and so it is heard; anything else is dropped whole.
    stricter = next(
        (c for c in own if c.op == MASKED and c.other == 0 and c.value & NAMESPACE_FLAGS == NAMESPACE_FLAGS), None
    )
    if own and stricter is None:
        return
    yield replace(rule, names=("clone",), conditions=(stricter if stricter is not None else _NO_NAMESPACE, *others))


def _socket(rule: Rule) -> Iterator[Rule]:
    others = tuple(condition for condition in rule.conditions if condition.index != 0)
    for family in FAMILIES:
        if all(holds(condition, family) for condition in rule.conditions if condition.index == 0):
            is_family = Condition(0, "SCMP_CMP_EQ", family)
            yield replace(rule, names=("socket",), conditions=(is_family, *others))


def holds(condition: Condition, value: int) -> bool:
    """True if an argument of this value meets a condition."""
    wanted = condition.value
    return {
        "SCMP_CMP_NE": value != wanted,
        "SCMP_CMP_LT": value < wanted,
        "SCMP_CMP_LE": value <= wanted,
        "SCMP_CMP_EQ": value == wanted,
        "SCMP_CMP_GE": value >= wanted,
        "SCMP_CMP_GT": value > wanted,
        MASKED: value & wanted == condition.other,
    }[condition.op]


def _written(rule: Rule) -> dict[str, Json]:
    body: dict[str, Json] = {"names": list(rule.names), "action": rule.action}
    body |= {} if rule.errno is None else {"errnoRet": rule.errno}
    body |= {"includes": {"minKernel": rule.kernel}} if rule.kernel else {}
    conditions: list[Json] = [
        {"index": c.index, "op": c.op, "value": c.value, "valueTwo": c.other} for c in rule.conditions
    ]
    return {**body, "args": conditions} if conditions else body
