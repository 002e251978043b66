"""The bridge between Signal and the gateway: listens, acts, asks and sends, until it is cancelled.

Stops: a daemon that comes and goes, a database that is full, or a mistake in one part from ending the rest: each part
begins again, after a wait that grows. Does not stop: whoever holds signal-cli's port or its files from speaking as the
account; keep both to the gateway's machine and to an account of their own.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime

from bascule.channels.signal.acting import Acting
from bascule.channels.signal.asking import Asking
from bascule.channels.signal.cards import line
from bascule.channels.signal.daemon import METHOD_NOT_FOUND, Daemon
from bascule.channels.signal.envelope import Envelope, is_account, parse_event
from bascule.channels.signal.inbox import Inbox
from bascule.channels.signal.intent import Act, Why
from bascule.channels.signal.outbox import Outbox
from bascule.channels.signal.pairing import Pairing
from bascule.channels.signal.parts import Parts, Surroundings
from bascule.channels.signal.sending import Sending
from bascule.channels.signal.sse import Frame
from bascule.channels.signal.talking import Talking
from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.core.policy import Policy
from bascule.service.port import Channel
from bascule.service.shapes import ErrorBody

QUIET_SECONDS = 5.0
"""A daemon may be away this long, for a restart, before the status calls it a problem."""


class Bridge:
    """One Signal account at one gateway."""

    def __init__(self, channel: Channel, policy: Policy, around: Surroundings) -> None:
        """Prepare; nothing is connected before :meth:`run`.

        Raises:
            Unavailable: ``signal_off``: the policy has no Signal account.
        """
        if policy.signal is None:
            raise Unavailable("signal_off", "the policy has no Signal account", "see channels.signal")
        database, clock = around.database, around.clock
        daemon = Daemon(policy.signal.url, policy.signal.account)
        self._to = Parts(
            channel, policy, policy.signal, around,
            Inbox(database, clock), Outbox(database, clock), Pairing(database, clock), daemon,
        )  # fmt: skip
        self._talking = Talking(self._to)
        self._acting = Acting(self._to, self._talking)
        self._asking = Asking(self._to)
        self._sending = Sending(self._to)
        self._to.noted.set()
        self._down: tuple[float, BasculeError] | None = (
            clock.now(),
            Unavailable("signal_starting", "not connected yet"),
        )
        self._not_linked = ""
        self._looking: asyncio.Task[None] | None = None

    @property
    def pairing(self) -> Pairing:
        """Who asked to be let in; the gateway lists and approves from it."""
        return self._to.pairing

    async def run(self) -> None:
        """Serve until cancelled; then every turn that was begun is cancelled, and what is stored goes on next time."""
        parts = (
            ("listening", self._listen),
            ("questions", self._asking.watch),
            ("comparing", self._asking.compare),
            ("sending", self._sending.run),
        )
        try:
            await self._take_up()
            async with asyncio.TaskGroup() as tasks:
                for name, part in parts:
                    tasks.create_task(self._keep_going(name, part), name=f"signal {name}")
        finally:
            if self._looking is not None:
                self._looking.cancel()
                await asyncio.wait((self._looking,))
            await self._talking.close()
            await self._to.daemon.close()

    def problems(self) -> list[ErrorBody]:
        """Return what an operator should know now, for the status."""
        now, found = self._to.clock.now(), []
        if self._down is not None and now - self._down[0] >= QUIET_SECONDS:
            since, error = self._down
            said = f"critical: Signal is not connected since {_instant(since)}: {error.message}"
            found.append(ErrorBody(code=error.code, message=said, remedy=error.remedy))
        if self._not_linked:
            remedy = "register or link it: signal-cli link"
            found.append(ErrorBody(code="signal_not_linked", message=f"critical: {self._not_linked}", remedy=remedy))
        if self._sending.limited_until > now:
            until = _instant(self._sending.limited_until)
            said = f"warn: Signal limits what {self._to.signal.account} may send until {until}"
            remedy = "wait, or solve its challenge: signal-cli submitRateLimitChallenge"
            found.append(ErrorBody(code="signal_rate_limited", message=said, remedy=remedy))
        try:
            troubles = self._to.outbox.troubles()
        except BasculeError as error:
            return [*found, ErrorBody(code=error.code, message=f"critical: {error.message}", remedy=error.remedy)]
        for recipient, why in troubles:
            said = f"warn: a message to {line(recipient)} did not go out: {line(why)}"
            remedy = "a changed safety number is accepted with: signal-cli trust" if "safety number" in why else ""
            found.append(ErrorBody(code="signal_not_sent", message=said, remedy=remedy))
        return found

    async def _keep_going(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part again and again, each time it ends, with growing waits while it fails at once."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await part()
            except BasculeError as error:
                self._to.log(f"{name}: {line(error.message)} [{error.code}]")
            except Exception:  # noqa: BLE001 -- a mistake in one part must end neither the others nor the gateway
                self._to.log(f"{name} failed: {line(traceback.format_exc(limit=-3))}")
            failures = failures + 1 if loop.time() - began < self._to.pace.most else 0
            await asyncio.sleep(self._to.pace.after(failures, self._to.pace.most))

    async def _take_up(self) -> None:
        """Go on with what the last gateway left: nothing is lost, and no turn is begun twice."""
        for stored in self._to.inbox.open():
            try:
                message = parse_event(stored.event)
                if not self._acting.left(stored, message):
                    await self._acting.act(stored.seq, message, self._acting.understand(message))
            except Unavailable as error:
                self._to.log(f"a stored message waits: {line(error.message)} [{error.code}]")
            except Exception:  # noqa: BLE001 -- a message that breaks us must not do so at every start
                self._to.log(f"a stored message is left out: {line(traceback.format_exc(limit=-3))}")
                self._to.finish(stored.seq)

    async def _listen(self) -> None:
        """Hear what comes until the connection ends.

        Raises:
            Unavailable: the daemon is not there, or what came cannot be stored; it comes again after that place.
        """
        try:
            async with aclosing(self._to.daemon.events(self._to.inbox.place())) as frames:
                async for frame in frames:
                    if self._down is not None:
                        self._down = None
                        self._to.log("connected")
                        # On the side: a daemon slow to answer must not hold up a stop that is already here.
                        self._looking = asyncio.create_task(self._look_for_account(), name="signal account")
                        continue
                    try:
                        await self._take(frame)
                    except Unavailable as error:
                        self._lost(error)
                        await self._hear_stops(frames)
                        raise
        except Unavailable as error:
            self._lost(error)
            raise
        ended = Unavailable("signal_unreachable", "signal-cli ended the stream", "is it still running?")
        self._lost(ended)
        raise ended

    async def _hear_stops(self, frames: AsyncIterator[Frame]) -> None:
        """Obey ``stop`` among what follows a message that cannot be stored, until there is room; all of it comes again.

        Else that message would stand before every stop for as long as the disk is full, which an agent can bring about.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._to.pace.most) as until:
                room = asyncio.create_task(self._wait_for_room(until), name="signal room")
                try:
                    async for frame in frames:
                        message = self._read(frame) if frame.event in {"", "receive"} and frame.data else None
                        if message is not None and is_account(message.account, self._to.signal):
                            intent = self._acting.understand(message)
                            if intent.act is Act.STOP:
                                await self._acting.stop(intent.person)
                finally:
                    room.cancel()

    async def _wait_for_room(self, until: asyncio.Timeout) -> None:
        while True:
            await asyncio.sleep(self._to.pace.first)
            with suppress(BasculeError):
                self._to.inbox.passed(self._to.inbox.place())
                until.reschedule(asyncio.get_running_loop().time())
                return

    def _lost(self, error: Unavailable) -> None:
        self._down = (self._to.clock.now() if self._down is None else self._down[0], error)

    async def _look_for_account(self) -> None:
        """See that a daemon of many accounts has ours; one of a single account does not know the question."""
        try:
            answer = await self._to.daemon.call("listAccounts")
        except Unavailable:
            return
        self._not_linked = ""
        if answer.code in {0, METHOD_NOT_FOUND} and isinstance(answer.result, list):
            names = [
                each for row in answer.result if isinstance(row, dict) for each in (row.get("number"), row.get("aci"))
            ]
            if not any(isinstance(name, str) and name and is_account(name, self._to.signal) for name in names):
                self._not_linked = f"signal-cli at {self._to.signal.url} has no account {self._to.signal.account}"

    async def _take(self, frame: Frame) -> None:
        if frame.event not in {"", "receive"} or not (frame.data or frame.damaged):
            return
        message = self._read(frame)
        if message is not None and is_account(message.account, self._to.signal):
            await self._do(message, frame)
        else:
            self._to.inbox.passed(frame.id)

    def _read(self, frame: Frame) -> Envelope | None:
        """Return the event, None for one that cannot be read; that, an operator finds in the log."""
        if frame.damaged:
            self._to.log(f"an event of signal-cli is left out: {frame.damaged} [signal_event]")
            return None
        try:
            return parse_event(frame.data)
        except Malformed as error:
            self._to.log(f"{line(error.message)} [{error.code}]")
            return None

    async def _do(self, message: Envelope, frame: Frame) -> None:
        """Store and act. Whether it was stored or not, ``stop`` is obeyed."""
        intent = await self._acting.understand_late(message)
        if intent.act is Act.SILENT:
            if intent.why is Why.AMBIGUOUS:
                self._to.log("a message whose number is an operator's and whose id is not theirs is left out")
            self._to.inbox.passed(frame.id)
            return
        try:
            seq = await self._to.inbox.take(message, frame.data, frame.id)
        except BasculeError:
            if intent.act is Act.STOP:
                await self._acting.stop(intent.person)
            raise
        if seq is not None:
            await self._acting.act(seq, message, intent)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
