"""Texts that would steer a terminal or hide from a reader, and a gateway that says them in every field."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.control.simulated import SimulatedService

from bascule.control.protocol import METHODS
from bascule.control.server import STREAMED
from bascule.core.errors import Malformed
from bascule.service.port import Caller, CallRequest

CORPUS = (
    "\x1b[31;1mred\x1b[0m",
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1bP+q544e\x1b\\",
    "\x9b31m",
    "\x9d52;c;ZXZpbA==\x9c",
    "\x90+q\x9c",
    "\x85",
    "\rover",
    "\x08\x08\x7f",
    "\x0e\x0f\x07\x0b\x0c",
    "\u202egnp.exe\u202c",
    "\u2066hidden\u2069\u061c\u200e",
    "zero\u200b\u200c\u200d\u2060\ufeffwidth",
    "\u3164\u2800\u00a0\u00ad\ufe0f\U000e0041\U000e0100",
    "\u2028\u2029",
    "\ud800 \udfff",
    "\x1b\n[2J",
    "\x1b]8;;\nhttp://evil.example\n\x1b\\",
    "\x9b\n31m",
    "[bold]markup[/bold] [link=http://evil.example]x[/link]",
)
POISON = "".join(CORPUS)
NAME = "\x1b]52;c;ZXZpbA==\x07\u202e\x9b31m\n\x1b[2J"
"""As much of it as a name may be long."""

ARGUMENT = POISON.replace("\ud800", "").replace("\udfff", "")
"""What can stand on a command line."""

STEERING = frozenset({"event", "effect", "phase", "encoding", "ephemeral"})
"""Fields that decide what a verb does next; poisoned they would only be refused."""

FREE = frozenset({"body", "limits", "exec", "sandbox", "quota", "args"})
"""Fields whose keys are not ours."""


def poisoned(value: Any, key: str = "") -> Any:
    if isinstance(value, str):
        return (
            value
            if key in STEERING or (key, value) == ("ungrantable", "")
            else value + (NAME if key in {"id", "digest"} else POISON)
        )
    if isinstance(value, list):
        return [poisoned(item, key) for item in value]
    if isinstance(value, dict):
        inner = {name: poisoned(item, name) for name, item in value.items()}
        return inner | {POISON: POISON, "\x1b]0;nested": {POISON: [POISON]}} if key in FREE else inner
    return value


class PoisonedService(SimulatedService):
    """Answers as the simulated one does, each text with the whole corpus behind it; streams end by themselves."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in METHODS:
            return found
        return getattr(self, f"_{name}") if name in STREAMED else _poisoned_answer(found)

    async def _send(self, caller: Caller, *, agent: str, text: str, session: str | None) -> AsyncIterator[Any]:
        for letter in POISON:
            yield {"event": "text", "text": letter}
        report = await self.call(caller, CallRequest(agent, "denied", "{}", session, False, 0, False))
        yield poisoned({"event": "tool", "id": "1", "phase": "decided", "report": report})
        if "ask" in text:
            yield poisoned({"event": "approval", "approval": self.found("apr_1")})
            while self.questions["apr_1"]["state"] == "pending":
                await asyncio.sleep(0.01)
        yield poisoned({"event": "answered", "id": "apr_2", "state": "denied", "answered_by": "pat"})
        yield poisoned({"event": "done", "session": "s", "text": "all", "seq": 5})

    async def _approvals_watch(self, caller: Caller) -> AsyncIterator[Any]:
        yield poisoned({"event": "approval", "approval": self.found("apr_1")})
        yield poisoned({"event": "answered", "id": "apr_2", "state": "denied", "answered_by": "pat"})


class RefusingService(SimulatedService):
    """Refuses everything, in words like these."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in METHODS:
            return found
        return _refusing_stream if name in STREAMED else _refusing


async def _refusing(*_: Any, **__: Any) -> Any:
    raise Malformed("refused" + POISON, "refused" + POISON, POISON)


async def _refusing_stream(*_: Any, **__: Any) -> AsyncIterator[Any]:
    for _nothing in ():
        yield _nothing
    await _refusing()


def _poisoned_answer(work: Callable[..., Any]) -> Callable[..., Any]:
    async def answer(*words: Any, **named: Any) -> Any:
        # Names come back as they were told.
        plain = {key: value.replace(NAME, "") if isinstance(value, str) else value for key, value in named.items()}
        return poisoned(await work(*words, **plain))

    return answer
