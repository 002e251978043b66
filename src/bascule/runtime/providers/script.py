"""The language of scripts: JSON lines, each one response of a model that does exactly what it is told.

Stops: a demo, a drill or a test depending on a model's mood. A script is refused as a whole, with file and line, before
any of it is used. Does not stop: a script from proposing anything at all; that is its purpose.

A line is an object with these keys, all optional: ``say`` (text), ``calls`` (list of ``{"tool": name, "args": object or
raw string}``), ``expect`` (``{"contains": text}`` of what the model was told last, ``{"tools": [names]}`` that must be
offered), ``delay`` (milliseconds before answering), ``error`` (``{"status": n}`` and optionally ``message``,
``retry_after`` in seconds: the request fails so). A last line ``{"loop": true}`` begins anew. Empty lines and lines
that begin with ``#`` do not count.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bascule.core.canonical import Json
from bascule.core.errors import Malformed
from bascule.runtime.messages import ToolRequest

MAX_DELAY = 60_000
"""Milliseconds; a longer one is a mistake in the script."""


@dataclass(frozen=True, slots=True)
class ScriptedError:
    """A failure to play: HTTP status, what the service said, how many seconds it wants between attempts."""

    status: int
    message: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """One response; ``where`` is ``file:line``."""

    where: str
    say: str = ""
    calls: tuple[ToolRequest, ...] = ()
    contains: str = ""
    tools: tuple[str, ...] = ()
    delay: float = 0.0
    error: ScriptedError | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script."""

    name: str
    lines: tuple[ScriptLine, ...]
    loop: bool

    def line(self, number: int) -> ScriptLine | None:
        """Return the line for the ``number``-th request, from 0; None after the end."""
        if self.loop:
            return self.lines[number % len(self.lines)]
        return self.lines[number] if number < len(self.lines) else None


def parse_script(untrusted_text: str, name: str) -> Script:
    """Return a script.

    Args:
        untrusted_text: the file's text.
        name: the file's name, for messages.

    Raises:
        Malformed: ``script_malformed``, with file and line.
    """
    lines: list[ScriptLine] = []
    loop = False
    for number, text in enumerate(untrusted_text.split("\n"), 1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        where = f"{name}:{number}"
        if loop:
            raise _refuse(where, "nothing may follow the line with 'loop'")
        value = _object(_json(text, where), where, "a line")
        if "loop" in value:
            if value != {"loop": True}:
                raise _refuse(where, "a line with 'loop' is exactly {\"loop\": true}")
            loop = True
            continue
        lines.append(_line(value, where))
    del untrusted_text
    if not lines:
        raise _refuse(name, "the script has no responses")
    return Script(name, tuple(lines), loop)


def _line(value: dict[str, Json], where: str) -> ScriptLine:
    _known(value, {"say", "calls", "expect", "delay", "error"}, where, "a line")
    if not value:
        raise _refuse(where, "a line says or does something: 'say', 'calls' or 'error'")
    expect = _object(value.get("expect", {}), where, "'expect'")
    _known(expect, {"contains", "tools"}, where, "'expect'")
    delay = value.get("delay", 0)
    if isinstance(delay, bool) or not isinstance(delay, int) or not 0 <= delay <= MAX_DELAY:
        raise _refuse(where, f"'delay' is milliseconds from 0 to {MAX_DELAY}")
    calls = _list(value.get("calls", []), where, "'calls'")
    error = _error(value["error"], where) if "error" in value else None
    if error and (calls or value.get("say")):
        raise _refuse(where, "a line with 'error' says and calls nothing")
    return ScriptLine(
        where,
        _text(value.get("say", ""), where, "'say'"),
        tuple(_call(call, where) for call in calls),
        _text(expect.get("contains", ""), where, "'contains'"),
        tuple(_text(name, where, "a name in 'tools'") for name in _list(expect.get("tools", []), where, "'tools'")),
        delay / 1000,
        error,
    )


def _call(value: Json, where: str) -> ToolRequest:
    call = _object(value, where, "a call")
    _known(call, {"tool", "args"}, where, "a call")
    if "tool" not in call:
        raise _refuse(where, "a call needs 'tool'")
    args = call.get("args", {})
    if not isinstance(args, str):
        args = json.dumps(_object(args, where, "'args'"), ensure_ascii=False)
    return ToolRequest(_text(call["tool"], where, "'tool'"), args)


def _error(value: Json, where: str) -> ScriptedError:
    error = _object(value, where, "'error'")
    _known(error, {"status", "message", "retry_after"}, where, "'error'")
    status = error.get("status", 500)
    if isinstance(status, bool) or not isinstance(status, int) or not 400 <= status <= 599:
        raise _refuse(where, "'status' is an HTTP status from 400 to 599")
    after = error.get("retry_after")
    if after is not None and (isinstance(after, bool) or not isinstance(after, int) or after < 0):
        raise _refuse(where, "'retry_after' is whole seconds")
    return ScriptedError(status, _text(error.get("message", ""), where, "'message'"), after)


def _json(text: str, where: str) -> Json:
    def pairs(found: list[tuple[str, Json]]) -> dict[str, Json]:
        names = [name for name, _ in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise _refuse(where, f"the key {twice[:60]!r} stands twice (to send that, write 'args' as a string)")
        return dict(found)

    try:
        value: Json = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise _refuse(where, f"not JSON: {str(error).splitlines()[0][:200]}") from None
    return value


def _object(value: Json, where: str, what: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _refuse(where, f"{what} must be an object")
    return value


def _list(value: Json, where: str, what: str) -> list[Json]:
    if not isinstance(value, list):
        raise _refuse(where, f"{what} must be a list")
    return value


def _text(value: Json, where: str, what: str) -> str:
    if not isinstance(value, str):
        raise _refuse(where, f"{what} must be a string")
    return value


def _known(value: dict[str, Json], names: set[str], where: str, what: str) -> None:
    for name in value:
        if name not in names:
            raise _refuse(where, f"{what} has no key {name[:60]!r} (its keys: {', '.join(sorted(names))})")


def _refuse(where: str, problem: str) -> Malformed:
    return Malformed("script_malformed", f"{where}: {problem}")
