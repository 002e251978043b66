"""The attacker's toolbox: the static checks by which escape kits look for a way out of a container, written anew.

Each check says what it could use; an empty answer is a box with nothing to use. Reads and opens only, writes nothing
but to what it just made. Tests list it as a tool of the agent, and run it in a privileged container as a control;
standard library only. ``kits.py kit WORDS``: further paths that lead to somebody else's socket or secret, in hexadecimal.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import json
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator

LIBC = ctypes.CDLL(None, use_errno=True)
MACHINE = ("x86_64", "aarch64").index(os.uname().machine)
CLOSED = {"EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT", "EROFS", "ENOENT", "ENOTDIR", "ENXIO", "ENODEV"}
SOCKETS = (
    "/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock",
    "/run/podman/podman.sock", "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/bascule/line",
)  # fmt: skip
SECRETS = (
    "/etc/shadow", "/root" + "/.profile", "/host", "/hostfs", "/rootfs", "/var/run/secrets/kubernetes.io", "/proc/kcore", "/proc/kmsg",
    "/dev/kmsg", "/dev/mem", "/dev/kmem", "/dev/port", "/sys/kernel/debug", "/sys/kernel/security", "/proc/sched_debug",
    "/proc/timer_list", "/proc/1/environ", "/proc/1/root/", "/sys/firmware/efi", "/sys/fs/bpf", "/boot", "/canary",
    "/var/lib/docker", "/etc/docker", "/lib/modules", "/sys/kernel/vmcoreinfo", "/proc/acpi/wakeup",
)  # fmt: skip
WRITABLE = (
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug", "/proc/sys/kernel/poweroff_cmd",
    "/proc/sysrq-trigger", "/proc/sys/fs/binfmt_misc/register", "/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/hostname", "/proc/sys/kernel/usermodehelper/inheritable", "/proc/sys/net/ipv4/ip_forward",
    "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/module",
    "/etc/ld.so.preload", "/etc/passwd", "/etc/cron.d", "/usr/bin", "/usr/lib", "/opt/bascule", "/etc", "/", "/run", "/dev",
    "/proc/1/oom_score_adj", "/proc/1/mem", "/workspace/tools", "/var/lib", "/dev/mqueue", "/dev/pts/0", "/dev/ptmx",
)  # fmt: skip
DISKS = {"overlay", "ext4", "xfs", "btrfs"}
CALLS: dict[str, tuple[int, int]] = {
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "bpf": (321, 280), "ptrace": (101, 117), "keyctl": (250, 219), "add_key": (248, 217),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "fsopen": (430, 430),
    "open_by_handle_at": (304, 265), "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104),
    "swapon": (167, 224), "acct": (163, 89), "syslog": (103, 116), "process_vm_writev": (311, 271), "open_tree": (428, 428),
    "mount_setattr": (442, 442), "pidfd_getfd": (438, 438), "memfd_create": (319, 279), "quotactl": (179, 60),
}  # fmt: skip


def failed(action: Callable[[], object]) -> str:
    """The name of the error an action ends with; empty if it ends well."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "EIO")
    return ""


def usable(action: Callable[[], object]) -> bool:
    return failed(action) not in CLOSED


def call(number: int, *arguments: int) -> None:
    if LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")


def close_after(path: str, flags: int) -> None:
    os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC))


def status() -> dict[str, str]:
    with open("/proc/self/status", encoding="ascii") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def rights() -> Iterator[str]:
    """amicontained: capabilities, filters, privileges, user namespace."""
    said = status()
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(said[name], 16):
            yield f"capability {name} {said[name]}"
    if said["Seccomp"] != "2":
        yield "no system call filter"
    if said["NoNewPrivs"] != "1":
        yield "new privileges may be had"
    if "0" in said["Uid"].split() + said["Gid"].split() + said["Groups"].split():
        yield "root"


def calls() -> Iterator[str]:
    """System calls that get as far as looking at their arguments."""
    for name, numbers in CALLS.items():
        arguments = (0x10000000, 0, 0, 0, 0) if name == "unshare" else (-1, 0, 0, 0, 0)
        child = os.fork()
        if child == 0:
            os._exit(usable(lambda n=numbers, a=arguments: call(n[MACHINE], *a)))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1:
            yield f"system call {name}"


def sockets(further: tuple[str, ...]) -> Iterator[str]:
    """Sockets of engines and buses, and whether sockets can be made at all."""
    for path in (*SOCKETS, *further):
        for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
            if usable(lambda p=path, k=kind: connected(p, k)):
                yield f"socket {path}"
    for name, family, kind in (
        ("inet", 2, 1),
        ("inet6", 10, 1),
        ("netlink", 16, 3),
        ("packet", 17, 3),
        ("vsock", 40, 1),
    ):
        if usable(lambda f=family, k=kind: socket.socket(f, k).close()):
            yield f"family {name}"
    with open("/proc/net/unix", encoding="ascii") as file:
        yield from (f"abstract {line.split()[-1]}" for line in file if "@" in line and len(line.split()) > 7)
    with open("/proc/net/dev", encoding="ascii") as file:
        names = [line.split(":")[0].strip() for line in file if ":" in line]
    yield from (f"interface {name}" for name in names if name != "lo")
    if not failed(lambda: connected_to("169.254.169.254")):
        yield "metadata of a cloud"


def connected(path: str, kind: int) -> None:
    with socket.socket(socket.AF_UNIX, kind) as made:
        made.settimeout(1)
        made.connect(path)


def connected_to(host: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.settimeout(0.3)
        made.connect((host, 80))


def files(further: tuple[str, ...]) -> Iterator[str]:
    """Secrets that open, places that can be written, devices, set-user-id files that would count."""
    for path in (*SECRETS, *further):
        if holds(path):
            yield f"readable {path}"
    for path in WRITABLE:
        if os.path.isdir(path):
            if usable(lambda p=path: made_in(p)):
                yield f"writable {path}"
        elif usable(lambda p=path: close_after(p, os.O_WRONLY)):
            yield f"writable {path}"
    for path in glob.glob("/dev/*") + glob.glob("/dev/*/*"):
        if not os.path.lexists(path):
            continue
        mode = stat.S_IFMT(os.lstat(path).st_mode)
        plain = path in {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}
        if mode in {stat.S_IFBLK, stat.S_IFCHR} and not plain and usable(lambda p=path: close_after(p, os.O_RDONLY)):
            yield f"device {path}"


def holds(path: str) -> bool:
    """True if something stands there to be read; what Docker covers is an empty directory or reads as ``/dev/null``."""
    try:
        if os.path.isdir(path):
            return os.listdir(path) != []
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(descriptor, 1) != b""
        finally:
            os.close(descriptor)
    except BlockingIOError:
        return True  # a log of the kernel's, all of which was read
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "EIO") not in CLOSED


def made_in(folder: str) -> None:
    path = f"{folder}/kit-{os.getpid()}"
    close_after(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.unlink(path)


def kernel() -> Iterator[str]:
    """Addresses of the kernel, its modules, control groups whose agent could be named."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        if any(int(line.split()[0], 16) for line, _ in zip(file, range(100), strict=False)):
            yield "addresses of the kernel"
    for pattern in ("/sys/fs/cgroup/*/release_agent", "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/*/devices.allow"):
        yield from (
            f"writable {path}" for path in glob.glob(pattern) if usable(lambda p=path: close_after(p, os.O_WRONLY))
        )
    for folder in ["/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*")]:
        if os.path.isdir(folder) and usable(lambda f=folder: group_in(f)):
            yield f"control group {folder}"


def group_in(folder: str) -> None:
    path = f"{folder}/kit-{os.getpid()}"
    os.mkdir(path)
    os.rmdir(path)


def processes() -> Iterator[str]:
    """Whoever else is there: the host's processes, and programs that run under one's hand as ``runc`` does."""
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid in {1, os.getpid()}:
            continue
        for what, flags in (("exe", os.O_RDONLY), ("mem", os.O_RDWR), ("root/", os.O_RDONLY), ("cwd/", os.O_RDONLY)):
            if usable(lambda p=f"/proc/{pid}/{what}", f=flags: close_after(p, f)):
                yield f"process {pid} {what}"
    try:
        with open("/proc/2/comm", encoding="ascii") as file:
            if file.read().startswith("kthreadd"):
                yield "the host's processes"
    except OSError:
        pass
    if (
        usable(lambda: close_after("/proc/self/exe", os.O_WRONLY))
        and failed(lambda: close_after("/proc/self/exe", os.O_WRONLY)) != "ETXTBSY"
    ):
        yield "own program's file"


def descriptors() -> Iterator[str]:
    """CVE-2024-21626 and its kind: a directory that was left open, or a place to be in, whose parents are the host's."""
    opened = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
    for start in (*(f"/proc/self/fd/{name}" for name in opened), "/proc/self/cwd", "/proc/1/cwd"):
        target = f"{start}/" + "../" * 16
        if usable(lambda p=target: close_after(p + "etc/hostname", os.O_RDONLY)) and not same(target):
            yield f"descriptor {start}"
    try:
        if os.readlink("/proc/self/cwd").startswith("(unreachable)"):
            yield "an unreachable working directory"
    except OSError:
        pass


def same(folder: str) -> bool:
    return os.path.samefile(folder, "/")


def mounts() -> Iterator[str]:
    """Mounts that can be written and whose files can be run, that keep set-user-id bits or devices, or show the kernel."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            target, options = before.split()[4:6]
            kind = after.split()[0]
            held = set(options.split(","))
            if "rw" in held and "noexec" not in held and kind not in {"proc", "devpts"} and made(target):
                yield f"mount {target} runs what is written"
            if "nosuid" not in held and (set_user_id(target) or (os.path.isdir(target) and kind in DISKS)):
                yield f"mount {target} keeps set-user-id bits"
            if kind in {"debugfs", "tracefs", "securityfs", "bpf", "fusectl", "configfs", "cgroup2"} and "rw" in held:
                yield f"mount {target} is the kernel's {kind}"


def made(folder: str) -> bool:
    return os.path.isdir(folder) and not failed(lambda: made_in(folder))


def set_user_id(folder: str) -> bool:
    try:
        return any(
            entry.is_file(follow_symlinks=False) and entry.stat().st_mode & 0o6000 for entry in os.scandir(folder)
        )
    except OSError:
        return False


def environment() -> Iterator[str]:
    words = ("KEY", "TOKEN", "SECRET", "PASSWORD", "KUBERNETES", "AWS_", "DOCKER")
    yield from (f"environment {name}" for name in os.environ if any(word in name.upper() for word in words))


def kit(*further: str) -> dict[str, str]:
    """Everything that could be used, by its name."""
    found = [
        *rights(), *calls(), *sockets(further), *files(further), *kernel(), *processes(), *descriptors(), *mounts(),
        *environment(),
    ]  # fmt: skip
    return dict.fromkeys(found, "found")


if __name__ == "__main__":
    said = json.dumps(kit(*(bytes.fromhex(word).decode() for word in sys.argv[2:])))
    sys.stdout.write(said)
