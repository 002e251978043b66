"""Does what a message means: stops agents, answers questions, passes words on, or tells the sender why not.

Stops: an answer being lost or given twice (a message is stored before it is acted on, and the desk takes the first
answer), a code being guessed (a pause after a few wrong ones), and ``stop`` waiting for anything, a full disk included.
Does not stop: the desk from refusing; then the sender is told what it said.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from bascule.channels.signal.cards import line
from bascule.channels.signal.envelope import Envelope
from bascule.channels.signal.inbox import Stored
from bascule.channels.signal.intent import Act, Intent, Known, Why, person_of, understand
from bascule.channels.signal.outbox import Post
from bascule.channels.signal.parts import Parts, address, caller_of
from bascule.channels.signal.talking import Talking
from bascule.core.errors import BasculeError

NOTED_SECONDS = 5.0
"""How long an answer waits for the time stamp of the message it may answer."""

SENTENCES = {
    Why.NO_CARD: "Your thumb is on a message that asks nothing, or on an older copy of a question. Nothing was decided:"
    " put it on the question's last message, or write yes and its code.",
    Why.EDITED: "I do not read edits. Send it as a new message.",
    Why.CARD_UNCLEAR: "To answer this question reply to it with yes or no and nothing else. Nothing was decided.",
    Why.CARD_ELSEWHERE: "This question cannot be shown whole here, so it takes no yes here. Decide it on the dashboard,"
    " or see: bascule approvals list",
    Why.WRONG_CARD: "The code belongs to another question than the one you replied to. Nothing was decided.",
    Why.HOLDS_CODE: "Your message holds the code of a question, so no agent gets to read it, and a code alone decides"
    " nothing. To answer write: yes CODE, or: no CODE",
    Why.CUT: "Only the beginning of your message arrived; it was not passed on. Send it in shorter pieces.",
    Why.ANSWERS_ONLY: "You may answer questions here; policy does not let you talk to agents (operators: chats).",
}
"""What the sender is told where a message is not acted on."""

PAUSED = "Too many wrong codes. Wait a quarter of an hour, or reply to the question's own message. Nothing was decided."

PAIRING = (
    "This is an automatic answer: I do not know you. If you are meant to write here, give the operator this code within"
    " an hour: {code}"
)


class Acting:
    """Acts on stored messages, in the order they came."""

    def __init__(self, parts: Parts, talking: Talking) -> None:
        self._to = parts
        self._talking = talking

    def understand(self, message: Envelope) -> Intent:
        """Return what a message means now."""
        person, _ = person_of(message.sender, self._to.policy)
        target = message.quote or (message.reaction.target if message.reaction else None)
        outbox = self._to.outbox
        known = Known(
            self._to.signal,
            self._to.policy,
            outbox.card_at(person.name, target.at) if person and target else None,
            outbox.codes,
            self._to.pairing.admitted(message.sender),
            bool(person and outbox.waits_for(person.name)),
        )
        return understand(message, known)

    async def understand_late(self, message: Envelope) -> Intent:
        """Return what a message means; one that answers a message still being sent waits for that one's time stamp."""
        intent = self.understand(message)
        if intent.act is Act.STOP or not (message.quote or message.reaction) or self._to.noted.is_set():
            return intent
        with suppress(TimeoutError):
            async with asyncio.timeout(NOTED_SECONDS):
                await self._to.noted.wait()
        return self.understand(message)

    async def act(self, seq: int, message: Envelope, intent: Intent) -> None:
        """Act on a stored message that was not begun.

        Raises:
            Unavailable: the state cannot be written; the message stays to be acted on.
        """
        match intent.act:
            case Act.STOP:
                self._to.tell(seq, message, await self.stop(intent.person))
            case Act.APPROVE | Act.DENY:
                await self._answer(seq, message, intent)
            case Act.CHAT:
                self._talking.put(seq, message, intent)
            case Act.PAIR:
                self._pair(seq, message)
            case Act.TELL:
                self._to.tell(seq, message, SENTENCES[intent.why])
            case Act.SILENT:
                self._to.finish(seq)

    async def stop(self, person: str) -> str:
        """Stop every agent and drop what waits for one; return what the operator is told. Never raises our errors."""
        try:
            rows = await self._to.channel.contain(caller_of(person), agent=None, reason="stop over Signal")
            told = f"Stopped: {', '.join(row['id'] for row in rows)}. Each stays so until: bascule release AGENT"
        except BasculeError as error:
            told = f"Stop: {line(error.message)} [{error.code}]. See: bascule status"
            self._to.log(f"stop by {person}: {line(error.message)} [{error.code}]")
        try:
            self._talking.drop_waiting()
        except BasculeError as error:
            self._to.log(f"messages that waited could not be closed: {error.code}")
        return told

    def left(self, stored: Stored, message: Envelope) -> bool:
        """Close a message on which a turn had begun when the last gateway ended; False if it is yet to be acted on."""
        if not stored.working:
            return False
        self._talking.interrupted(stored.seq, message, self.understand(message))
        return True

    async def _answer(self, seq: int, message: Envelope, intent: Intent) -> None:
        by_code = intent.why is Why.BY_CODE
        if by_code and not self._to.inbox.may_try(intent.person):
            self._to.tell(seq, message, PAUSED)
            return
        channel, caller = self._to.channel, caller_of(intent.person)
        try:
            if intent.act is Act.APPROVE:
                await channel.approvals_approve(caller, ref=intent.ref)
            else:
                await channel.approvals_deny(caller, ref=intent.ref)
        except BasculeError as error:
            if by_code and error.code == "approval_unknown":
                self._to.inbox.wrong_code(intent.person)
                self._to.tell(seq, message, "No question has this code. Nothing was decided.")
                return
            remedy = f" ({line(error.remedy)})" if error.remedy else ""
            self._to.tell(seq, message, f"Not answered: {line(error.message)}{remedy} [{error.code}]")
            return
        # That it was answered is told to everyone who was asked, the one who answered among them.
        self._to.finish(seq)

    def _pair(self, seq: int, message: Envelope) -> None:
        code = self._to.pairing.ask(message.sender)
        if code is None:
            self._to.finish(seq)
            return
        self._to.log(f"an unknown sender asks to be let in; see: bascule pairing list ({code[:2]}…)")
        to = address(message.sender)
        self._to.finish(seq, [Post(f"pair {seq}", to, "notice", PAIRING.format(code=code))])
