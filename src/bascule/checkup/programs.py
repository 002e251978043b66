"""Checks of what runs and can be run: the gateway itself, engines, the directories of root's programs, setuid files."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.checkup.machine import Machine
from bascule.checkup.ownership import EVERYBODY, Model, may_connect, writers_of
from bascule.core.finding import Severity

Told = Iterator[tuple[Severity, str, str]]

USUAL: dict[str, str] = {
    "at": "queues jobs",
    "bsd-write": "writes to a terminal",
    "chage": "shows when a password expires",
    "chfn": "changes one's own name in the table",
    "chrome-sandbox": "starts a browser's sandbox",
    "chsh": "changes one's own shell",
    "crontab": "changes one's jobs",
    "dbus-daemon-launch-helper": "starts services of the system bus",
    "doas": "runs commands as others",
    "dotlockfile": "locks mailboxes",
    "expiry": "checks one's own password",
    "fusermount": "mounts for oneself",
    "fusermount3": "mounts for oneself",
    "gpasswd": "changes groups one administers",
    "gst-ptp-helper": "keeps the network's time for players",
    "mount": "mounts what fstab allows",
    "mount.cifs": "mounts what fstab allows",
    "mount.nfs": "mounts what fstab allows",
    "newgidmap": "maps the gids of /etc/subgid",
    "newgrp": "changes to a group with a password",
    "newuidmap": "maps the uids of /etc/subuid",
    "ntfs-3g": "mounts for oneself",
    "pam_extrausers_chkpwd": "checks one's own password",
    "passwd": "changes one's own password",
    "ping": "sends echo requests",
    "ping6": "sends echo requests",
    "pkexec": "runs commands as others, as polkit decides",
    "plocate": "searches file names one may see",
    "polkit-agent-helper-1": "checks a password for polkit",
    "pppd": "makes dial-up links",
    "snap-confine": "starts snaps",
    "ssh-agent": "keeps keys out of other programs' reach",
    "ssh-keysign": "signs for this host's SSH key",
    "su": "becomes others who have a password",
    "sudo": "runs commands as others, as its rules say",
    "sudoedit": "edits files as others",
    "umount": "unmounts what one may",
    "unix_chkpwd": "checks one's own password",
    "utempter": "records terminals",
    "vmware-user-suid-wrapper": "shares the clipboard with a host",
    "wall": "writes to everybody's terminal",
    "write": "writes to a terminal",
    "Xorg.wrap": "starts the X server",
}
"""Programs that distributions install setuid, setgid or with capabilities (Debian 12, Ubuntu 24.04, Fedora 40)."""

_SHOWN = 20


def gateway_rights(machine: Machine) -> Told:
    """The running gateway holds a right."""
    running = machine.running
    if running is None:
        return
    restart = "restart it with: bascule gateway restart; if it is still so, report it"
    whose = f"the gateway, process {running.pid},"
    if 0 in running.uids:
        yield Severity.CRITICAL, f"{whose} runs as root", restart
    held = running.permitted | running.effective | running.inheritable | running.ambient
    if held:
        yield Severity.CRITICAL, f"{whose} holds capabilities {held:#x}", restart
    if not running.no_new_privs:
        yield Severity.CRITICAL, f"{whose} could gain rights by starting a setuid program", restart
    if not machine.rootless and running.bounding:
        yield Severity.WARN, f"{whose} is bounded by capabilities {running.bounding:#x} and should be by none", restart
    if not machine.rootless and running.groups - {machine.who.gateway}:
        groups = ", ".join(map(str, sorted(running.groups)))
        yield Severity.CRITICAL, f"{whose} is in the groups {groups} and should be in none", restart


def gateway_unseen(machine: Machine) -> Told:
    """No gateway was looked at."""
    if machine.running is None:
        yield Severity.INFO, "no gateway runs here that could be looked at", "run: bascule gateway start"


def engine_socket(machine: Machine) -> Told:
    """A container engine, which is as good as root, answers an account."""
    for way in machine.sockets:
        if may_connect(way, EVERYBODY, frozenset()):
            detail = f"{way.path} has the mode {way.end.mode:o}: every account may speak to the engine, as good as root"
            yield Severity.CRITICAL, detail, f"run as root: chmod o-rwx {way.path}"
            continue
        for subject in machine.subjects:
            if may_connect(way, subject.account.uid, subject.gids):
                detail = f"{subject.called}, {subject.account.called}, may speak to {way.path}, as good as root"
                grave = Severity.WARN if subject.person else Severity.CRITICAL
                yield grave, detail, "take the account out of the socket's group"
        members = machine.who.tables.members_of(way.end.gid)
        if members:
            names = ", ".join(members[:_SHOWN])
            yield Severity.INFO, f"as good as root through {way.path}: {names}", "keep this group small"


def packet_rules(machine: Machine) -> Told:
    """A raw bridge is wanted, and nothing is there to hold it with."""
    if machine.bridged and not machine.has_nft:
        named = ", ".join(machine.bridged)
        detail = f"policy puts {named} on a raw bridge, and without nft their containers are refused"
        yield Severity.WARN, detail, "apt-get install nftables, or set sandbox.network to proxy"


def root_path(machine: Machine) -> Told:
    """Somebody may put a program where root looks for programs."""
    for way in machine.path:
        for writer in writers_of(way, machine.who):
            ours = writer.uid == machine.who.gateway or writer.uid in machine.who.agents
            grave = Severity.CRITICAL if writer.uid == EVERYBODY or ours else Severity.WARN
            if machine.who.model(writer.uid) is Model.OPERATOR_OWNED or (ours and writer.uid in machine.who.operators):
                grave = Severity.WARN
            detail = f"root looks for programs in {way.path}, which {machine.who.called(writer.uid)} can change: "
            yield (
                grave,
                f"{detail}who {writer.how}",
                f"run as root: chown root: {way.end.path}; chmod go-w {way.end.path}",
            )


def setuid(machine: Machine) -> Told:
    """A file that raises whoever starts it: not of the usual ones, or not as it was accepted."""
    for file in machine.raised if machine.raised is not None else ():
        name = file.path.rpartition("/")[2]
        what = f"{file.path} raises whoever starts it ({file.how})"
        reached = f"; may be started by {', '.join(file.reached)}" if file.reached else "; none of our accounts may"
        if machine.accepted is not None:
            before = machine.accepted.get(file.path)
            if before is None:
                yield Severity.WARN, f"{what} and was not there when you accepted these files{reached}", _ACCEPT
            elif before != file.identity:
                yield Severity.WARN, f"{what} and has changed since you accepted it{reached}", _ACCEPT
        elif name in USUAL:
            yield Severity.INFO, f"{what}: {USUAL[name]}{reached}", ""
        else:
            yield Severity.WARN, f"{what} and is none that distributions install so{reached}", _ACCEPT


_ACCEPT = "remove the bit or the file (chmod u-s,g-s; setcap -r), or accept it: bascule host check --accept"


def setuid_unseen(machine: Machine) -> Told:
    """The look for such files was not complete."""
    if machine.closed:
        yield Severity.WARN, f"not every file that raises its caller was seen: {machine.closed}", "run this as root"
