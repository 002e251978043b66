"""A provider that plays a script: ``script:FILE``.

Stops: anything needing a network or a key to be shown or tested; the position is kept with the session, so a script
goes on where it was after a restart. Does not stop: a script from being edited between two responses; it is read once.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from bascule.core.errors import Unavailable
from bascule.runtime.messages import ModelSaid, ToolsAnswered, UserSaid
from bascule.runtime.providers import faults
from bascule.runtime.providers.port import Ask, Fault, OnNote, OnText, Reply
from bascule.runtime.providers.script import Script, ScriptLine, parse_script

MAX_SCRIPT = 4 << 20
"""Bytes of a script file."""

_WORDS = re.compile(r"\S*\s*")


def load(path: Path) -> ScriptedProvider:
    """Read a script file.

    Raises:
        Malformed: ``script_malformed``, with file and line.
        Unavailable: ``script_missing``, it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SCRIPT + 1)
    except OSError as error:
        raise Unavailable("script_missing", f"the script {path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_SCRIPT:
        raise Unavailable("script_missing", f"the script {path} is larger than {MAX_SCRIPT} bytes")
    return ScriptedProvider(parse_script(content.decode("utf-8", "backslashreplace"), path.name))


class ScriptedProvider:
    """Answers request ``n`` of a session with line ``n`` of its script."""

    def __init__(self, script: Script) -> None:
        self._script = script

    @property
    def name(self) -> str:
        """``script:`` and the file's name."""
        return f"script:{self._script.name}"

    @property
    def banner(self) -> str:
        """What it cannot do."""
        return f"{self.name} plays a script: it does not read what you write (set ANTHROPIC_API_KEY or OPENAI_API_KEY)"

    async def ask(self, ask: Ask, on_text: OnText, on_note: OnNote) -> Reply | Fault:
        """Play the next line."""
        del on_note
        line = self._script.line(ask.number)
        if line is None:
            return Fault(
                "script_ended", f"{self.name} has no line for request {ask.number + 1}", "add a line, or reset"
            )
        problem = _unmet(line, ask)
        if problem:
            return Fault("script_expectation", f"{line.where}: {problem}")
        if line.delay:
            await asyncio.sleep(line.delay)
        if line.error:
            return faults.of_status(self.name, line.error.status, line.error.message, line.error.retry_after)
        for piece in _WORDS.findall(line.say):
            await on_text(piece)
        return Reply(line.say, line.calls)

    async def close(self) -> None:
        """Nothing is held."""


def _unmet(line: ScriptLine, ask: Ask) -> str:
    offered = {tool.name for tool in ask.tools}
    missing = [name for name in line.tools if name not in offered]
    if missing:
        return f"expected the tools {', '.join(missing)} to be offered"
    if line.contains and line.contains not in _last(ask):
        return f"expected to be told something with {line.contains!r}"
    return ""


def _last(ask: Ask) -> str:
    for message in reversed(ask.messages):
        if isinstance(message, UserSaid):
            return message.text
        if isinstance(message, ToolsAnswered):
            return "\n".join(answer.text for answer in message.answers)
        if isinstance(message, ModelSaid):
            continue
    return ""
