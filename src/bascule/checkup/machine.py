"""The picture of a machine that checks are made on: values only, with what could not be seen said as such.

Stops nothing by itself; it is what lookers hand to judges, so that a check can be tried on machines nobody has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.checkup.ownership import Way, Who
from bascule.core.rights import Account

GATEWAY = "gateway"
AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Subject:
    """An account this home acts under.

    Attributes:
        role: ``gateway`` or ``agent``.
        called: ``the gateway`` or ``agent bruba-main``.
        account: what the tables grant it.
        person: the account is an operator's own too, so that it has a person's rights.
        gids: numbers of its groups.
        shells: of its rows in the table of accounts.
        password: it has one, or needs none; None if nobody could look.
        keys: files of SSH keys that let somebody in as it.
        jobs: files that start programs as it at some time.
    """

    role: str
    called: str
    account: Account
    person: bool = False
    gids: frozenset[int] = frozenset()
    shells: tuple[str, ...] = ()
    password: bool | None = None
    keys: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A running gateway, as the kernel has it (``proc_pid_status(5)``); capabilities are bit sets."""

    pid: int
    uids: frozenset[int]
    groups: frozenset[int]
    permitted: int
    effective: int
    inheritable: int
    ambient: int
    bounding: int
    no_new_privs: bool


@dataclass(frozen=True, slots=True)
class Raised:
    """A file that raises whoever starts it.

    Attributes:
        path: where.
        how: ``setuid root``, ``setgid shadow``, ``capabilities``, several joined by commas.
        identity: mode, owner, group, size and time of change, as a baseline keeps them.
        reached: which of our accounts may start it.
    """

    path: str
    how: str
    identity: str
    reached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delegation:
    """A line of ``/etc/subuid``: whoever it names may become any of ``count`` uids from ``first`` on."""

    user: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that was seen.

    Attributes:
        rootless: an ordinary user's account is the gateway's, and agents have its subordinate ones, or none.
        who: whose accounts are which.
        subjects: the gateway's account and every agent's.
        settings: kernel settings by name, such as ``kernel.core_pattern``; one that is not there is absent.
        unread: what could not be read, one line each.
        odd_lines: lines of the tables of accounts that are no rows.
        elsewhere: other sources of accounts and groups than files.
        sudo_unread: what of sudo's rules could not be read or understood, one line each.
        sockets: ways to the sockets of container engines.
        running: the gateway, None if none runs or it may not be looked at.
        delegations: of uids to others than the gateway's account.
        path: ways to the directories in which root looks for programs.
        helper: way to the program that core dumps are piped to, None if they are not.
        raised: files that raise, None if nobody looked.
        closed: why the look for them is not complete, empty if it is.
        accepted: identities by path that the operator accepted, None if none were.
        bridged: agents whom policy gives a raw bridge.
        has_nft: the program is there that makes packet rules.
    """

    rootless: bool
    who: Who
    subjects: tuple[Subject, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    odd_lines: int = 0
    elsewhere: tuple[str, ...] = ()
    sudo_unread: tuple[str, ...] = ()
    sockets: tuple[Way, ...] = ()
    running: Running | None = None
    delegations: tuple[Delegation, ...] = ()
    path: tuple[Way, ...] = ()
    helper: Way | None = None
    raised: tuple[Raised, ...] | None = None
    closed: str = ""
    accepted: Mapping[str, str] | None = None
    bridged: tuple[str, ...] = ()
    has_nft: bool = True
