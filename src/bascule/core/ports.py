"""Protocols by which rooms that are strangers meet; ``app.py`` introduces them.

Stops: a room reaching past its neighbour. Every protocol says what it raises; implementations inherit the contract
tests in ``tests/contracts``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bascule.core.answer import Approval, Grant, State
from bascule.core.box import BoxKey, FileContent, PipelineRequest, PipelineResult, Standing
from bascule.core.call import Bound, Call, Intent, Proposal
from bascule.core.canonical import Json
from bascule.core.confinement import Confinement, Mount
from bascule.core.facts import Facts
from bascule.core.ids import AgentId
from bascule.core.outcome import Outcome
from bascule.core.plan import Program
from bascule.core.policy import AgentPolicy, Policy
from bascule.core.posture import Posture
from bascule.core.toolspec import ToolSpec
from bascule.core.verdict import Decision
from bascule.core.web import Fetched


class Clock(Protocol):
    """The time, in seconds since the epoch."""

    def now(self) -> float:
        """Return the time of day, UTC."""


class Records(Protocol):
    """The ledger as the gate writes it."""

    async def append(self, kind: str, body: Mapping[str, Json], *, durable: bool) -> int:
        """Write one record and return its sequence number; durable means on disk before returning.

        Raises:
            Unavailable: it could not be written; nothing was.
        """


class Files(Protocol):
    """One agent session's file worker. Paths are box paths; every method refuses links, devices and FIFOs.

    Each raises :class:`Malformed` for a path that is no regular file or lies outside, :class:`Unavailable` for a
    missing file, a full disk, a time-out or a dead worker. ``code`` tells which.
    """

    async def read(self, path: str, *, offset: int, limit: int) -> FileContent:
        """Return up to ``limit`` bytes from ``offset``; the hash is of the whole file (at most the size limit)."""

    async def write(self, path: str, content: bytes, *, append: bool) -> str:
        """Replace or extend a file atomically and return the new content's SHA-256."""

    async def edit(self, path: str, old: str, new: str, *, every: bool, expected_sha256: str) -> str:
        """Replace text in a file whose hash is still as expected, atomically; return the new hash."""

    async def identify(self, path: str) -> str:
        """Return the hex SHA-256 of a regular file, or the empty string if there is none."""

    async def glob(self, pattern: str, *, limit: int) -> tuple[str, ...]:
        """Return matches relative to ``/workspace``, sorted, each beginning with ``./`` or ``/``; bounded."""


class Boxes(Protocol):
    """Everything that makes, uses and ends boxes."""

    async def files(self, key: BoxKey, mounts: tuple[Mount, ...] = ()) -> Files:
        """Return the session's warm file worker; with mounts, a one-shot one that ends after its first operation.

        Raises:
            Unavailable: it cannot start, or its self-test failed.
        """

    async def run(self, request: PipelineRequest) -> PipelineResult:
        """Run a pipeline, each program in its own fresh box; never outlives the wall limit.

        Raises:
            Unavailable: a box could not be made; nothing ran.
        """

    async def posture(self, key: BoxKey, *, fresh: bool = False) -> Posture:
        """Return the self-test of the session's box, else of the agent's newest; if none runs, start the session's.

        Args:
            key: whose, and which session uses the box next.
            fresh: look again from outside, instead of remembering what was seen when the box started.

        Raises:
            Unavailable: no box can be made.
        """

    async def stop(self, agent: AgentId | None) -> None:
        """End every box of one agent, or of all; returns when they are gone."""

    async def end(self, key: BoxKey) -> None:
        """End the boxes of one session, with those it shares with others; returns when they are gone."""

    async def forget(self, key: BoxKey) -> None:
        """Leave nothing of a session in any box that stays; what runs for its agent is killed."""

    async def standing(self) -> tuple[Standing, ...]:
        """Return every box that lasts from call to call, orphans too.

        Raises:
            Unavailable: the backend cannot be asked.
        """


class WayOut(Protocol):
    """An agent's way out: who answers at the one address that its boxes can reach."""

    def attend(self, agent: AgentId, listener: int) -> Callable[[], None]:
        """Accept what connects to a listening socket as that agent, until the returned function is called.

        Whoever connects has no other network and cannot choose this socket, so the socket says who asks.

        Args:
            agent: whose box holds the other end.
            listener: a listening TCP socket's descriptor; taken over, also when this raises.

        Returns:
            What ends it: nothing more is accepted and what was carried for this socket is cut. Safe to call twice.

        Raises:
            Unavailable: nobody answers for this agent.
        """


class Programs(Protocol):
    """What a program word means on this machine."""

    async def resolve(self, word: str, policy: AgentPolicy) -> Program:
        """Resolve a bare name, an absolute path, or a path in the agent's ``tools/``; hash it. Never raises."""


class Web(Protocol):
    """The gateway's own client, which reaches what policy lets an agent reach."""

    async def get(
        self, agent: AgentId, url: str, *, most: int, seconds: float, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        """Ask for one address and return the answer, each redirect judged like the first.

        Args:
            agent: for whom; its rules, its rate, its records.
            url: the address.
            most: bytes kept of the body.
            seconds: for everything together.
            headers: sent besides our own; with any, no redirect is followed.

        Raises:
            Malformed: the address, or one it leads to, does not parse.
            NotPermitted: no rule allows it, or it resolves to an address that may not be connected to.
            Unavailable: it does not answer, not in time, or too much was asked already.
        """


class Pages(Protocol):
    """What makes text of a page, in a box."""

    async def text(self, agent: AgentId, content: bytes, charset: str) -> str:
        """Return the text of a page of HTML as a reader would see it, without what is hidden.

        Args:
            agent: whose box reads it.
            content: at most 4 MiB.
            charset: what the site calls its encoding, in lower case; empty if it does not say.

        Raises:
            Unavailable: there is no such box, or it did not answer in time.
        """


class Tool(Protocol):
    """One tool: its description, its parser, its hands, its card."""

    @property
    def spec(self) -> ToolSpec:
        """What the model is told."""

    def intend(self, args: Mapping[str, Json], policy: AgentPolicy) -> Intent:
        """Return paths and plan, without looking anything up.

        Raises:
            Malformed: the arguments make no sense together.
        """

    async def bind(self, call_args: Mapping[str, Json], intent: Intent, policy: AgentPolicy, key: BoxKey) -> Bound:
        """Look up what the call is about: globs, programs, pre-images. Reads only, changes nothing.

        Raises:
            Malformed: it cannot be bound (no match, too many).
            Unavailable: the file worker cannot be asked.
        """

    async def run(self, call: Call, confinement: Confinement) -> Outcome:
        """Carry it out, confined so."""

    def card(self, call: Call, policy: AgentPolicy) -> tuple[str, ...]:
        """Return what the operator is shown besides the common head, one line a string; pure."""


class Desk(Protocol):
    """Where questions wait."""

    async def open(self, call: Call, decision: Decision, card: Sequence[str], seq: int, policy: Policy) -> Approval:
        """Write a question durably and return it.

        Raises:
            Unavailable: it could not be written, or the agent has too many open.
        """

    async def take(self, call: Call, policy: Policy) -> Approval | Grant | None:
        """Use up a yes for this very call: its own, at most once, or one use of a grant that covers it; or None."""

    async def matching(self, call: Call, policy: Policy) -> Approval | None:
        """Return the pending or approved row for this very call, without consuming it."""

    async def wait(self, approval_id: str, seconds: float) -> State:
        """Return the state once it is no longer pending, or when the time is up."""


class FactSource(Protocol):
    """Where snapshots come from."""

    async def snapshot(self, call: Call, policy: Policy) -> Facts:
        """Return what is so now, for this call."""

    def contained(self, agent: AgentId) -> str:
        """Return why an agent is contained at this very moment, or the empty string."""

    def count(self, agent: AgentId) -> None:
        """Count one proposal of an agent, whatever becomes of it."""


class Gate(Protocol):
    """The one path, as those who may propose see it."""

    async def cross(self, proposal: Proposal, *, dry_run: bool = False, wait: float = 0.0) -> Crossing:
        """Take one proposal across: parse, judge, record, ask, judge again, run."""


class Crossing(Protocol):
    """What became of a proposal; see ``gate.py`` for the value."""

    @property
    def decision(self) -> Decision:
        """All verdicts."""

    @property
    def approval(self) -> Approval | None:
        """The question, if one was asked."""

    @property
    def outcome(self) -> Outcome | None:
        """The result, if it ran."""
