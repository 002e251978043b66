"""Typed wrappers of Linux system calls that Python's library does not have.

Stops: each room that talks to the kernel writing its own unchecked ``ctypes``. Every failure is an ``OSError`` with
the kernel's number. Does not stop misuse: what may be opened, mounted or dropped is decided by the callers.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from enum import IntFlag
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

# Numbers above 423 are the same on every architecture (Linux, Documentation/process/adding-syscalls).
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_OPENAT2 = 437
_MOUNT_SETATTR = 442

_CLONE = {"x86_64": 56, "aarch64": 220}
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_FROM_EMPTY_PATH = 4

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_REC, _MS_PRIVATE, _MS_SLAVE = 0x4000, 0x40000, 0x80000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_CLONE_PARENT = 0x00008000
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS, CLONE_NEWIPC = 0x04000000, 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000


class Resolve(IntFlag):
    """How ``openat2`` may walk (``linux/openat2.h``)."""

    NO_MAGICLINKS = 2
    NO_SYMLINKS = 4
    BENEATH = 8


class MountFlag(IntFlag):
    """Attributes of a mount (``linux/mount.h``)."""

    READ_ONLY = 1
    NO_SETUID = 2
    NO_DEVICES = 4
    NO_EXEC = 8


def _fail(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def system_call(name: str, number: int, *arguments: int | bytes | None) -> int:
    """Make one system call and return its result.

    Args:
        name: for the error.
        number: on this architecture.
        arguments: integers and addresses of bytes; at most six.

    Raises:
        OSError: as the kernel says.
    """
    converted = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *converted))
    if result < 0:
        raise _fail(name)
    return result


def _prctl(name: str, option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(item) for item in (*arguments, 0, 0, 0, 0)[:4]]
    if _LIBC.prctl(option, *padded) != 0:
        raise _fail(f"prctl {name}")


def open_at(path: str, flags: int, *, directory: int = _AT_FDCWD, resolve: Resolve, mode: int = 0) -> int:
    """Open ``path`` by ``openat2`` and return a close-on-exec descriptor.

    Args:
        path: absolute, or relative to ``directory``.
        flags: ``os.O_*``.
        directory: descriptor to start from, the working directory by default.
        resolve: what the walk may not do.
        mode: permission bits of a file that is created.

    Raises:
        OSError: as the kernel says; ``ELOOP`` for a link that may not be followed.
    """
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, int(resolve))
    return system_call("openat2", _OPENAT2, directory, os.fsencode(path), how, len(how))


def open_without_links(path: str, flags: int) -> int:
    """Open an absolute path of which no component is a symbolic link.

    Raises:
        OSError: as the kernel says; ``ELOOP`` where a component is a link.
    """
    return open_at(path, flags, resolve=Resolve.NO_SYMLINKS | Resolve.NO_MAGICLINKS)


def clone_mount(source: int, flags: MountFlag, *, recursive: bool = False) -> int:
    """Return a detached bind mount of what ``source`` has open, with ``flags`` added.

    With any, it takes no part in what is mounted at its source later, which would come along without them.

    Args:
        source: a descriptor, ``O_PATH`` suffices.
        flags: attributes the new mount has besides the ones of its source.
        recursive: take mounts below it along.

    Raises:
        OSError: no right to mount, or (``EINVAL``) the source lies in another mount namespace.
    """
    deep = _AT_RECURSIVE if recursive else 0
    tree = system_call("open_tree", _OPEN_TREE, source, b"", _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | deep)
    if flags:
        attributes = struct.pack("=QQQQ", int(flags), 0, _MS_PRIVATE, 0)
        try:
            system_call("mount_setattr", _MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH | deep, attributes, len(attributes))
        except OSError:
            os.close(tree)
            raise
    return tree


def attach_mount(tree: int, target: str, directory: int = _AT_FDCWD) -> None:
    """Attach a detached mount at ``target``, which must exist and be of the same type; its last name is not followed.

    Raises:
        OSError: as the kernel says.
    """
    system_call("move_mount", _MOVE_MOUNT, tree, b"", directory, os.fsencode(target), _MOVE_FROM_EMPTY_PATH)


def restrict_mount(target: str | int, flags: MountFlag) -> None:
    """Add attributes to the mount at ``target``, a path or a descriptor of the mount's root.

    Raises:
        OSError: as the kernel says; ``EINVAL`` where no mount has its root.
    """
    attributes = struct.pack("=QQQQ", int(flags), 0, 0, 0)
    at, path, how = (target, b"", _AT_EMPTY_PATH) if isinstance(target, int) else (_AT_FDCWD, os.fsencode(target), 0)
    system_call("mount_setattr", _MOUNT_SETATTR, at, path, how, attributes, len(attributes))


def mount_tmpfs(target: str, *, mode: int, size: int, executable: bool = False) -> None:
    """Mount an empty tmpfs, without setuid or devices.

    Args:
        target: an existing directory.
        mode: permission bits of its root.
        size: bytes it may hold.
        executable: programs may be executed from it.

    Raises:
        OSError: as the kernel says.
    """
    flags = _MS_NOSUID | _MS_NODEV | (0 if executable else _MS_NOEXEC)
    options = f"mode={mode:o},size={size}".encode()
    if _LIBC.mount(b"tmpfs", os.fsencode(target), b"tmpfs", ctypes.c_ulong(flags), options) != 0:
        raise _fail(f"mount tmpfs at {target}")


def mount_proc(target: str) -> None:
    """Mount the proc file system of this process's pid namespace.

    Raises:
        OSError: as the kernel says.
    """
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    if _LIBC.mount(b"proc", os.fsencode(target), b"proc", flags, None) != 0:
        raise _fail(f"mount proc at {target}")


def unmount(target: str) -> None:
    """Detach the topmost mount at ``target``.

    Raises:
        OSError: as the kernel says.
    """
    if _LIBC.umount2(os.fsencode(target), 2) != 0:
        raise _fail(f"umount {target}")


def change_root(new_root: str, old_root: str) -> None:
    """Make the mount at ``new_root`` this namespace's root and detach everything that was mounted before.

    Args:
        new_root: a mount point.
        old_root: an empty directory directly in it.

    Raises:
        OSError: as the kernel says; ``ENOSYS`` on an architecture whose number is not known.
    """
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(38, "pivot_root: number unknown on this architecture")
    system_call("pivot_root", number, os.fsencode(new_root), os.fsencode(f"{new_root}/{old_root}"))
    os.chdir("/")
    unmount(f"/{old_root}")


def stop_propagation(*, receive: bool = False) -> None:
    """Make every mount of this namespace private, or (``receive``) still see what the host mounts later.

    Raises:
        OSError: as the kernel says.
    """
    kind = _MS_SLAVE if receive else _MS_PRIVATE
    if _LIBC.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | kind), None) != 0:
        raise _fail("mount propagation")


def fork_for_parent(flags: int) -> int:
    """Fork on behalf of the caller's parent: the new process is its child, which it alone can wait for.

    Python is not told, so the caller has one thread, and the new process none of what ``os.register_at_fork`` arranges.

    Args:
        flags: namespaces the new process is the first one of (``CLONE_NEW*``).

    Returns:
        0 in the new process; in the caller, its number.

    Raises:
        OSError: as the kernel says; ``ENOSYS`` on an architecture whose number is not known.
    """
    number = _CLONE.get(os.uname().machine)
    if number is None:
        raise OSError(38, "clone: number unknown on this architecture")
    return system_call("clone", number, flags | _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags`` (``CLONE_NEW*``) for new ones.

    Raises:
        OSError: as the kernel says.
    """
    if _LIBC.unshare(flags) != 0:
        raise _fail("unshare")


def join_mounts(namespace: int) -> None:
    """See what another mount namespace sees, from its root; needs the right to mount there.

    Args:
        namespace: a descriptor of ``/proc/<pid>/ns/mnt``.

    Raises:
        OSError: as the kernel says.
    """
    if _LIBC.setns(namespace, CLONE_NEWNS) != 0:
        raise _fail("setns")


def join_network(namespace: int) -> None:
    """Use another network namespace for what is opened from now on; needs all rights there.

    Args:
        namespace: a descriptor of ``/proc/<pid>/ns/net``.

    Raises:
        OSError: as the kernel says.
    """
    if _LIBC.setns(namespace, CLONE_NEWNET) != 0:
        raise _fail("setns")


def forbid_new_privileges() -> None:
    """Set ``no_new_privs``: from now on no program file raises privileges.

    Raises:
        OSError: as the kernel says.
    """
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)


def set_dumpable(*, on: bool) -> None:
    """Say whether processes of the same account may look into this one.

    Raises:
        OSError: as the kernel says.
    """
    _prctl("dumpable", _PR_SET_DUMPABLE, int(on))


def die_with_parent(signal_number: int) -> None:
    """Ask for a signal when the *thread* that made this process ends.

    Raises:
        OSError: as the kernel says.
    """
    _prctl("pdeathsig", _PR_SET_PDEATHSIG, signal_number)


def drop_bounding_set() -> None:
    """Empty the capability bounding set and the ambient set; needs ``CAP_SETPCAP``.

    Raises:
        OSError: as the kernel says; not for capabilities this kernel does not know.
    """
    _prctl("ambient", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        try:
            _prctl("capbset_drop", _PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != 22:  # EINVAL: beyond the last capability of this kernel
                raise
            return


def map_account(process: str, inside: int, uid: int, gid: int) -> None:
    """Map one account, which must be this process's own, into a fresh user namespace; what it may not map it cannot be.

    Args:
        process: whose namespace: a pid, or ``self``.
        inside: what uid and gid are called in there.
        uid: as the namespace around it counts.
        gid: likewise.

    Raises:
        OSError: as the kernel says.
    """
    # In this order: the kernel lets an ordinary account map its gid only after setgroups is denied.
    for name, text in (("setgroups", "deny"), ("uid_map", f"{inside} {uid} 1"), ("gid_map", f"{inside} {gid} 1")):
        Path(f"/proc/{process}/{name}").write_text(text, "ascii")


def keep_only_account(inside: int) -> None:
    """Give up all but the account: in a user namespace of its own it is ``inside``, and holds nothing after exec.

    Raises:
        OSError: as the kernel says.
        ValueError: ``inside`` is 0, which would hold every capability of that namespace.
    """
    if inside == 0:
        raise ValueError("an account that is kept is never called 0")
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    map_account("self", inside, uid, gid)
    drop_bounding_set()


def drop_account(uid: int, gid: int) -> None:
    """Become an ordinary account for good: no groups, no capability, no way back.

    Args:
        uid: kernel uid in this user namespace, not 0.
        gid: its group.

    Raises:
        OSError: as the kernel says.
        ValueError: uid or gid 0.
    """
    drop_bounding_set()
    become_account(uid, gid)


def become_account(uid: int, gid: int) -> None:
    """Do the second half of :func:`drop_account`, after :func:`drop_bounding_set`.

    Args:
        uid: kernel uid in this user namespace, not 0.
        gid: its group.

    Raises:
        OSError: as the kernel says.
        ValueError: uid or gid 0.
    """
    if uid == 0 or gid == 0:
        raise ValueError("an account that is dropped to is never 0")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise OSError(1, "the account was not dropped")
