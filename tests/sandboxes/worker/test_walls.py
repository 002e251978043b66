"""Each forbidden act is tried twice in a process of its own: without the walls, where it works, and behind them."""

from __future__ import annotations

import os
import struct
import subprocess

import pytest
from tests.sandboxes.worker.started import PYTHON, SOURCE, place

from bascule.sandboxes.worker import walls

SCRIPT = """
import sys; sys.path.append(sys.argv[1])
import ctypes, fcntl, os, signal, socket
from bascule.sandboxes.worker import walls
act, root, which = sys.argv[2:5]
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_long
def raw(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "raw")
os.chdir(root)
inside = os.open(root + "/w", os.O_PATH)
victim = os.open(root + "/w/file", os.O_RDWR)
rules = [(os.open(root, os.O_PATH), walls.READING), (inside, walls.WRITING)]
if which != "none":
    walls.drop_privileges()
if which in ("old", "uncut"):
    walls.landlock_abi = lambda: 2
if which in ("landlock", "both", "old", "uncut"):
    walls.restrict_files(rules)
if which == "uncut":
    walls.install_filter(walls.uncut_program(os.uname().machine))
if which in ("seccomp", "both"):
    walls.filter_system_calls()
try:
    exec(act)
    print("done", flush=True)
except OSError as error:
    print(error.errno, flush=True)
os._exit(0)
"""

EPERM, EACCES = 1, 13

BY_SECCOMP = {
    "execve": "os.execv('/bin/true', ['true'])",
    "fork": "os.fork() or os._exit(0)",
    "socket": "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
    "socketpair": "socket.socketpair()",
    "open": "os.open(root + '/w/file', os.O_RDONLY)",
    "link": "os.link('w/file', 'w/other')",
    "symlink": "os.symlink('file', 'w/soft')",
    "fifo": "os.mkfifo('w/fifo')",
    "chmod": "os.chmod('w/file', 0o777)",
    "fchmod": "os.fchmod(victim, 0o777)",
    "chown": "os.chown('w/file', os.getuid(), os.getgid())",
    "utime": "os.utime('w/file')",
    "xattr": "os.listxattr('w/file')",
    "truncate by path": "os.truncate('w/file', 0)",
    "kill": "os.kill(os.getpid(), 0)",
    "ptrace": "raw(libc.ptrace(0, 0, 0, 0))",
    "prctl": "raw(libc.prctl(3, 0, 0, 0, 0))",
    "memfd": "os.memfd_create('x')",
    "executable memory": "raw(-(libc.mmap(None, ctypes.c_size_t(4096), 5, 0x22, -1, ctypes.c_long(0)) == -1))",
    "chdir": "os.chdir('/')",
    "unshare": "raw(libc.unshare(0))",
    "setrlimit": "raw(libc.setrlimit(4, ctypes.create_string_buffer(16)))",
    "dup2": "os.dup2(0, 99)",
    "fcntl locks": "fcntl.lockf(victim, fcntl.LOCK_EX)",
    "ioctl": "raw(libc.ioctl(victim, 0x5451))",
}

BY_LANDLOCK = {
    "read outside": "walls.openat2(-100, b'/etc/passwd', os.O_RDONLY, resolve=0)",
    "list outside": "os.listdir('/etc')",
    "write in a read-only root": "os.open(root + '/ro', os.O_WRONLY)",
    "truncate in a read-only root": "os.truncate(root + '/ro', 0)",
    "make in a read-only root": "os.mkdir(root + '/new')",
    "remove in a read-only root": "os.unlink(root + '/ro')",
    "make a fifo": "os.mkfifo(root + '/w/fifo')",
    "make a link": "os.symlink('file', root + '/w/soft')",
    "execute": "os.execv('/bin/true', ['true'])",
    "connect": "socket.socket().connect(('127.0.0.1', 9))",
}

CUTTING = {
    "by path": ("os.truncate(root + '/ro', 0)", EACCES),
    "opened for reading": ("os.open(root + '/ro', os.O_RDONLY | os.O_TRUNC)", EACCES),
    "opened for nothing": ("os.open(root + '/ro', 3 | os.O_TRUNC)", EACCES),
    "made or opened": ("os.open(root + '/ro', os.O_RDONLY | os.O_TRUNC | os.O_CREAT, 0o600)", EACCES),
    "by the newest call": ("walls.openat2(-100, os.fsencode(root) + b'/ro', os.O_RDONLY | os.O_TRUNC, resolve=0)", 38),
    **(
        {"by the oldest call": ("raw(libc.syscall(2, os.fsencode(root) + b'/ro', os.O_TRUNC))", EACCES)}
        if os.uname().machine == "x86_64"
        else {}
    ),
}

UNCUT = (
    "os.read(os.open(root + '/ro', os.O_RDONLY), 1); os.close(os.open(root + '/w/file', os.O_WRONLY | os.O_TRUNC)); "
    "os.close(os.open(root + '/w/file', os.O_RDWR | os.O_TRUNC)); os.ftruncate(victim, 0); os.listdir(root); "
    "os.close(os.open(root + '/w/new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)); libc.creat(os.fsencode(root) + b'/w/n', 0o600)"
)

INSIDE = (
    "fd = walls.openat2(inside, b'file', os.O_RDONLY); os.read(fd, 1); os.close(fd); "
    "os.mkdir(b'd', dir_fd=inside); os.rmdir(b'd', dir_fd=inside); "
    "fd = walls.openat2(inside, b'new', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600); os.write(fd, b'x'); os.fsync(fd); "
    "os.ftruncate(fd, 0); os.posix_fallocate(fd, 0, 10); os.rename(b'new', b'file', src_dir_fd=inside, dst_dir_fd=inside); "
    "here = walls.openat2(inside, b'.', os.O_RDONLY); assert [e.name for e in os.scandir(here)] == ['file']; "
    "os.stat(b'file', dir_fd=inside, follow_symlinks=False); os.pread(fd, 1, 0); os.urandom(8); bytearray(64 << 20)"
)


def attempt(act: str, which: str, left: str | None = None) -> str:
    """Return what came of an act; ``left`` is what must stand in the file that may only be read afterwards."""
    with place() as root:
        for name in ("ro", "w/file"):
            with open(f"{root}/{name}", "w") as file:
                file.write("x")
        run = subprocess.run(
            [PYTHON, "-I", "-S", "-c", SCRIPT, SOURCE, act, root, which],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.stderr == ""
        if left is not None:
            with open(f"{root}/ro") as file:
                assert file.read() == left
        return run.stdout.strip()


@pytest.mark.parametrize("name", BY_SECCOMP)
def test_the_filter_refuses_what_works_without_it(name):
    assert attempt(BY_SECCOMP[name], "none") in {"done", ""}, "the act does not work even without the wall"
    assert attempt(BY_SECCOMP[name], "seccomp") == str(EPERM)


@pytest.mark.parametrize("name", BY_LANDLOCK)
def test_landlock_refuses_what_works_without_it(name):
    without = attempt(BY_LANDLOCK[name], "none")
    assert without in {"done", "", "111"}, "the act does not work even without the wall"
    assert attempt(BY_LANDLOCK[name], "landlock") == str(EACCES)


@pytest.mark.parametrize("name", CUTTING)
def test_what_an_old_landlock_lets_be_cut_short_the_filter_refuses(name):
    act, errno = CUTTING[name]
    assert attempt(act, "old", left="") == "done", "the act does not work even without the wall"
    assert attempt(act, "uncut", left="x") == str(errno)


def test_the_filter_beside_an_old_landlock_lets_a_program_work():
    assert attempt(UNCUT, "uncut", left="x") == "done"


@pytest.mark.parametrize("which", ["none", "landlock", "seccomp", "both"])
def test_the_work_itself_passes_all_walls(which):
    assert attempt(INSIDE, which) == "done"


def run_filter(program: bytes, arch: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """A seccomp filter machine: just the five operations the filter uses."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at = accumulator = 0
    while True:
        operation, if_true, if_false, value = steps[at]
        at += 1
        if operation == 0x06:
            return value
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
            continue
        truth = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[operation]
        at += if_true if truth else if_false


ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000


@pytest.mark.parametrize(("machine", "column"), [("x86_64", 0), ("aarch64", 1)])
def test_the_filter_lets_through_its_list_and_nothing_else(machine, column):
    program, arch = walls.seccomp_program(machine), walls.AUDIT_ARCH[machine]
    allowed = {numbers[column] for numbers in walls.ALLOWED.values()}
    assert len(allowed) == len(walls.ALLOWED)
    special = {walls.MMAP[column], walls.MPROTECT[column], walls.FCNTL[column]}
    for number in set(range(700)) - special:
        assert run_filter(program, arch, number) == (ALLOW if number in allowed else REFUSE), number
    for number in (walls.MMAP[column], walls.MPROTECT[column]):
        assert run_filter(program, arch, number, (0, 0, 3)) == ALLOW
        assert run_filter(program, arch, number, (0, 0, 4)) == REFUSE
        assert run_filter(program, arch, number, (0, 0, 7)) == REFUSE
    for command in range(2000):
        wanted = ALLOW if command in walls.FCNTL_COMMANDS else REFUSE
        assert run_filter(program, arch, walls.FCNTL[column], (3, command)) == wanted
    for foreign in {*walls.AUDIT_ARCH.values(), 0x40000003} - {arch}:
        assert run_filter(program, foreign, min(allowed)) == KILL


def test_the_x32_calls_kill():
    assert run_filter(walls.seccomp_program("x86_64"), walls.AUDIT_ARCH["x86_64"], walls.X32_BIT) == KILL


def test_an_unknown_machine_has_no_filter():
    with pytest.raises(KeyError):
        walls.seccomp_program("riscv64")


def test_openat2_reports_the_kernels_number():
    with pytest.raises(FileNotFoundError):
        walls.openat2(-100, b"no such file", os.O_RDONLY, resolve=0)
