"""What an account is granted by the machine's tables: groups and rules of sudo, and what each group is worth.

Stops: an agent's account being called ordinary while a group makes it as good as root. Does not stop: groups that a
machine's administrator made and gave powers to under names of their own; nobody can know what those are worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Worth(StrEnum):
    """How far a group reaches."""

    ROOT = "as good as root"
    READS = "reads what is not everybody's"
    DEVICES = "uses devices"


@dataclass(frozen=True, slots=True)
class Power:
    """What being in a group gives: how far it reaches, and how."""

    worth: Worth
    how: str


def _root(how: str) -> Power:
    return Power(Worth.ROOT, how)


def _reads(how: str) -> Power:
    return Power(Worth.READS, how)


def _devices(how: str) -> Power:
    return Power(Worth.DEVICES, how)


POWERS: Mapping[str, Power] = {
    "root": _root("files that only root and its group may write are its own"),
    "sudo": _root("the usual rules of sudo and of polkit let it run anything as root"),
    "wheel": _root("the usual rules of sudo, su and polkit let it run anything as root"),
    "admin": _root("older rules of sudo and polkit let it run anything as root"),
    "docker": _root("it speaks to the engine, which mounts the machine's root directory into a container"),
    "podman": _root("it speaks to the engine's socket, which starts containers as root"),
    "lxd": _root("it makes containers in which the machine's root directory is mounted, with root's rights"),
    "incus-admin": _root("it makes containers in which the machine's root directory is mounted, with root's rights"),
    "microk8s": _root("it starts containers with any mount and any right"),
    "libvirt": _root("it makes virtual machines from any file or disk of this machine"),
    "disk": _root("it reads and writes disks below their file systems, whatever a file's owner and mode"),
    "kmem": _root("it reads the kernel's memory"),
    "mem": _root("it reads the kernel's memory"),
    "staff": _root("it writes below /usr/local, where root looks for programs first"),
    "shadow": _reads("it reads the hashes of every password"),
    "adm": _reads("it reads the logs of every service"),
    "systemd-journal": _reads("it reads the logs of every service"),
    "utmp": _reads("it writes the record of who is signed in"),
    "input": _reads("it reads every key that is pressed"),
    "tty": _reads("it writes to other people's terminals"),
    "video": _reads("it reads the screen"),
    "wireshark": _reads("it reads all of the machine's network traffic"),
    "backup": _reads("it reads what backups keep"),
    "tape": _reads("it reads what backups keep"),
    "_ssh": _reads("it reaches the agents that hold people's SSH keys"),
    "kvm": _devices("it starts virtual machines"),
    "vboxusers": _devices("it starts virtual machines and takes USB devices"),
    "render": _devices("it uses graphics processors"),
    "audio": _devices("it hears the microphone"),
    "dialout": _devices("it speaks to serial lines and modems"),
    "plugdev": _devices("it mounts and unmounts removable media"),
    "netdev": _devices("it changes network connections"),
    "bluetooth": _devices("it speaks to what is near"),
    "lpadmin": _devices("it configures printing, whose filters run as another account"),
    "tss": _devices("it uses the keys in the machine's TPM"),
}
"""Groups by the names that Debian, Fedora, Arch and the packages in question give them (their own documentation of
groups; Debian: ``/usr/share/doc/base-passwd/users-and-groups``)."""


@dataclass(frozen=True, slots=True)
class Account:
    """One uid as the machine's tables have it.

    Attributes:
        uid: as the kernel counts.
        name: its name, empty if no table has one.
        groups: names of the groups the tables put it into, sorted; a gid of 0 is ``root``, whatever its name.
        sudo: the places of sudo's rules that name it, such as ``/etc/sudoers:27``.
        unread: why the tables could not be read, empty if they were.
    """

    uid: int
    name: str = ""
    groups: tuple[str, ...] = ()
    sudo: tuple[str, ...] = ()
    unread: str = ""

    @property
    def called(self) -> str:
        """Name and number for a person."""
        return f"{self.name} (uid {self.uid})" if self.name else f"uid {self.uid}"

    def groups_worth(self, worth: Worth) -> tuple[str, ...]:
        """Return its groups that reach just so far."""
        return tuple(name for name in self.groups if name in POWERS and POWERS[name].worth is worth)
