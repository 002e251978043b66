"""Words to an agent, one turn at a time in each session and in the order they came, and the agent's words back.

Stops: two messages of one conversation overtaking each other, one conversation holding up another, and words that came
before ``stop`` reaching a model after it. A stranger is told only that there is no answer, never why. Does not stop: a
turn from waiting for an approval, and what is said in its session meanwhile from waiting with it.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bascule.channels.signal.cards import line, notice, spoken
from bascule.channels.signal.envelope import Envelope
from bascule.channels.signal.intent import Intent, Why
from bascule.channels.signal.outbox import Post
from bascule.channels.signal.parts import Parts, address, caller_of, group_name, where
from bascule.core.errors import BasculeError, Unavailable
from bascule.service.port import Caller, Heard

BUSY = "session_busy"

BARE = "A yes or no alone answers no question; it goes to the agent. To answer, reply to the question itself."

MOST_WAITING = 50
"""Messages that may wait in one session; the next are refused, so that nobody fills the memory."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message for an agent."""

    seq: int
    message: Envelope
    intent: Intent
    caller: Caller
    heard: Heard


class Talking:
    """A queue and a task for each session in which somebody waits."""

    def __init__(self, parts: Parts) -> None:
        self._to = parts
        self._queues: dict[str, deque[Turn]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def put(self, seq: int, message: Envelope, intent: Intent) -> None:
        """Queue a message for its session's agent."""
        turn = self._turn(seq, message, intent)
        session = turn.heard.session or ""
        queue = self._queues.setdefault(session, deque())
        if len(queue) >= MOST_WAITING:
            self._to.tell(seq, message, "Too many messages wait already; this one was not passed on.")
            return
        if intent.why is Why.BARE:
            # At once: the turn it goes to waits for the very answer that this was meant to be.
            self._to.post([Post(f"bare {seq}", address(message.sender), "notice", notice(BARE))])
        queue.append(turn)
        if session not in self._tasks:
            self._tasks[session] = asyncio.create_task(self._work(session), name=f"signal {session or 'main'}")

    def drop_waiting(self) -> int:
        """Forget what waits and was not begun, telling who sent it; return how many."""
        dropped = [turn for queue in self._queues.values() for turn in queue]
        for queue in self._queues.values():
            queue.clear()
        for turn in dropped:
            self._to.tell(turn.seq, turn.message, "All agents were stopped; your message was not passed on.")
        return len(dropped)

    async def close(self) -> None:
        """Cancel every turn and wait until each has ended."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def interrupted(self, seq: int, message: Envelope, intent: Intent) -> None:
        """Tell the sender of a message on which a turn had begun when the last gateway ended."""
        agent = self._to.signal.agent
        text = f"Bascule was restarted while {agent} was at work on your message; nobody knows how far it got."
        more = (
            f" See: bascule sessions show agent:{agent}:main. Send it again if nothing came." if intent.trusted else ""
        )
        self._to.tell(seq, message, text + more)

    async def _work(self, session: str) -> None:
        queue = self._queues[session]
        try:
            while queue:
                await self._one(queue)
        finally:
            del self._tasks[session], self._queues[session]

    async def _surely(self, write: Callable[[], None]) -> None:
        """Write, again and again while the state cannot be written: what was said must not be lost to a full disk."""
        failures = 0
        while True:
            try:
                write()
            except Unavailable as error:
                self._to.log(f"what came of a message cannot be written yet: {error.code}")
            else:
                return
            await asyncio.sleep(self._to.pace.after(failures, self._to.pace.most))
            failures += 1

    async def _one(self, queue: deque[Turn]) -> None:
        """Take the first message through a turn; it stays first while its session is busy."""
        turn, until = queue[0], self._to.clock.now() + self._to.pace.busy
        failures = 0
        while queue and queue[0] is turn:
            await self._surely(lambda: self._to.inbox.begin(turn.seq))
            if not queue or queue[0] is not turn:
                return
            queue.popleft()
            said = await self._hear(turn)
            if isinstance(said, str):
                await self._surely(lambda: self._said(turn, said))  # noqa: B023 -- called before the loop goes on
                return
            if said.code != BUSY or self._to.clock.now() >= until:
                await self._surely(lambda: self._failed(turn, said))  # noqa: B023 -- called before the loop goes on
                return
            await self._surely(lambda: self._to.inbox.again(turn.seq))
            queue.appendleft(turn)
            await asyncio.sleep(self._to.pace.after(failures, self._to.pace.most))
            failures += 1

    async def _hear(self, turn: Turn) -> str | BasculeError:
        """Run the turn; return what the agent said last, or why there is no answer."""
        text = ""
        await self._courtesies(turn)
        try:
            async for event in self._to.channel.hear(turn.caller, turn.heard):
                if event["event"] == "done":
                    text = event["text"]
        except BasculeError as error:
            return error
        except Exception:  # noqa: BLE001 -- a mistake in one turn must not end the conversation
            self._to.log(f"a turn failed: {line(traceback.format_exc(limit=-3))}")
            return Unavailable("internal_error", "something failed that should not have; the log has it")
        return text

    async def _courtesies(self, turn: Turn) -> None:
        """Show that we read and write, if that can be had at once; nothing depends on it."""
        if turn.message.group:
            return
        to = address(turn.message.sender)
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(2.0):
                if self._to.signal.read_receipts:
                    await self._to.daemon.call(
                        "sendReceipt", recipient=to, targetTimestamp=[turn.message.at], type="read"
                    )
                await self._to.daemon.call("sendTyping", recipient=[to])

    def _said(self, turn: Turn, text: str) -> None:
        agent, session = turn.heard.agent, turn.heard.session or f"agent:{turn.heard.agent}:main"
        parts = spoken(agent, text, self._to.signal.chunk, session) if text.strip() else ()
        to = where(turn.message)
        posts = [Post(f"said {turn.seq} {number}", to, "words", part) for number, part in enumerate(parts)]
        self._to.finish(turn.seq, posts)

    def _failed(self, turn: Turn, error: BasculeError) -> None:
        if turn.message.group:
            self._to.log(f"no answer in a group: {line(error.message)} [{error.code}]")
            self._to.finish(turn.seq)
        elif turn.intent.trusted:
            remedy = f" ({line(error.remedy)})" if error.remedy else ""
            text = f"{turn.heard.agent} did not answer: {line(error.message)}{remedy} [{error.code}]"
            self._to.tell(turn.seq, turn.message, text)
        else:
            self._to.log(f"no answer to a stranger: {line(error.message)} [{error.code}]")
            self._to.tell(turn.seq, turn.message, "There is no answer at the moment.")

    def _turn(self, seq: int, message: Envelope, intent: Intent) -> Turn:
        agent, sender = self._to.signal.agent, address(message.sender)
        if intent.trusted:
            heard = Heard(agent, intent.text, None, True, "operator", frozenset({f"signal:{sender}"}))  # noqa: FBT003 -- the noun's own field
            return Turn(seq, message, intent, caller_of(intent.person), heard)
        caller = Caller(-1, 0, f"{sender} (signal)", "")
        if message.group:
            name = group_name(message.group)
            speaker = intent.person or f"member {group_name(sender)[:4]}"
            heard = Heard(
                agent, f"{speaker}: {intent.text}", f"agent:{agent}:signal:group:{name}", False, "group",  # noqa: FBT003 -- the noun's own field
                frozenset({f"signal:{sender}", f"signal:group:{name}"}),
            )  # fmt: skip
        else:
            heard = Heard(
                agent, intent.text, f"agent:{agent}:signal:direct:{sender}", False, "signal",  # noqa: FBT003 -- the noun's own field
                frozenset({f"signal:{sender}"}),
            )  # fmt: skip
        return Turn(seq, message, intent, caller, heard)
