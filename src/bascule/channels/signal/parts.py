"""What the parts of the bridge share: whom they ask, what they know, and how patient they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from bascule.channels.signal.cards import notice
from bascule.channels.signal.daemon import Daemon
from bascule.channels.signal.envelope import Envelope
from bascule.channels.signal.inbox import Inbox
from bascule.channels.signal.outbox import Outbox, Post
from bascule.channels.signal.pairing import Pairing
from bascule.core.policy import Operator, Policy
from bascule.core.ports import Clock
from bascule.core.surfaces import SignalPolicy
from bascule.policy.senders import Sender
from bascule.service.port import Caller, Channel
from bascule.state.connection import Database

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient the bridge is; every number is seconds.

    Attributes:
        first: the wait after a first failure; it doubles each time.
        most: the longest wait for the daemon.
        retry: the longest wait for one recipient.
        limited: the wait when Signal limits sending and does not say how long.
        compare: between comparing the open questions with those that were sent.
        busy: how long words wait for a session in which another turn runs, before their sender is told.
    """

    first: float = 0.5
    most: float = 30.0
    retry: float = 300.0
    limited: float = 60.0
    compare: float = 30.0
    busy: float = 900.0

    def after(self, failures: int, most: float) -> float:
        """Return the wait after so many failures in a row."""
        return min(most, self.first * 2.0 ** min(failures, 20))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a bridge stands on: the home's database with Signal's tables, the time, a log that takes one line."""

    database: Database
    clock: Clock
    log: Log
    pace: Pace = Pace()


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the parts of one bridge have in common.

    ``posted`` is set when something waits to be sent, ``noted`` unless a message is out whose time stamp is not yet in.
    """

    channel: Channel
    policy: Policy
    signal: SignalPolicy
    around: Surroundings
    inbox: Inbox
    outbox: Outbox
    pairing: Pairing
    daemon: Daemon
    posted: asyncio.Event = field(default_factory=asyncio.Event)
    noted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def clock(self) -> Clock:
        """The time of day."""
        return self.around.clock

    @property
    def pace(self) -> Pace:
        """How patient the bridge is."""
        return self.around.pace

    def log(self, text: str) -> None:
        """Log one line."""
        self.around.log(f"signal: {text}")

    def finish(self, seq: int, posts: Iterable[Post] = ()) -> None:
        """Say in one step that a message is done and what is to be sent because of it."""
        with self.around.database.transaction() as change:
            self.outbox.post(posts, change)
            self.inbox.done(seq, change)
        self.posted.set()

    def post(self, posts: Iterable[Post]) -> None:
        """Say what is to be sent; what was said before is not sent again."""
        with self.around.database.transaction() as change:
            self.outbox.post(posts, change)
        self.posted.set()

    def tell(self, seq: int, message: Envelope, text: str) -> None:
        """Finish a message with a notice to its sender, never to a group."""
        self.finish(seq, [Post(f"told {seq}", address(message.sender), "notice", notice(text))])


def address(sender: Sender) -> str:
    """Return where a direct answer to a sender goes."""
    return sender.number or sender.uuid


def addresses(person: Operator, signal: SignalPolicy) -> tuple[str, ...]:
    """Return where an operator is written to: their numbers, or their ids if policy has no number; never ourselves."""
    numbers = tuple(entry for entry in person.signal if not entry.startswith("uuid:"))
    found = numbers or tuple(entry.removeprefix("uuid:") for entry in person.signal)
    return tuple(each for each in found if each not in {signal.account, signal.account_uuid})


def where(message: Envelope) -> str:
    """Return where words of an agent go: to the group, or to the sender."""
    return f"group:{message.group}" if message.group else address(message.sender)


def group_name(group: str) -> str:
    """Return a group's name in session keys, which are lower case while group ids are not."""
    return sha256(group.encode()).hexdigest()[:16]


def caller_of(person: str) -> Caller:
    """Return an operator as the gateway records them."""
    return Caller(-1, 0, f"{person} (signal)", person)
