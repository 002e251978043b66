"""Lines of a batch file, read without repairing anything: what is wrong in the arguments is the gate's to refuse.

Stops: a duplicate key or an odd number being lost on the way to the gate, so that a batch line and the same call typed
by hand are judged alike. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from bascule.core.errors import Malformed

MAX_LINE: Final = 8 << 20
"""Characters of one line: arguments of 1 MiB, each escaped, and room."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number exactly as it was written."""

    text: str


Pairs: TypeAlias = "tuple[tuple[str, Any], ...]"


@dataclass(frozen=True, slots=True)
class Obj:
    """A JSON object exactly as it was written: pairs in order, duplicates kept."""

    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Line:
    """One line: which call to make; ``session`` None if the line names none."""

    agent: str
    tool: str
    args_text: str
    session: str | None


def read_object(untrusted_text: str, what: str) -> Obj:
    """Return a JSON object, nothing lost.

    Args:
        untrusted_text: JSON text.
        what: what to call it in an error.

    Raises:
        Malformed: ``arguments_not_json`` or ``arguments_not_object``.
    """
    try:
        untrusted_text.encode("utf-8")
        value = json.loads(
            untrusted_text,
            object_pairs_hook=lambda pairs: Obj(tuple(pairs)),
            parse_int=Number,
            parse_float=Number,
            parse_constant=_no_constant,
        )
    except UnicodeEncodeError:
        raise Malformed("arguments_not_json", f"{what} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else "nested too deeply"
        raise Malformed("arguments_not_json", f"{what} is not JSON: {reason}") from None
    del untrusted_text
    if not isinstance(value, Obj):
        raise Malformed("arguments_not_object", f"{what} is not a JSON object", 'write it like {"path": "MEMORY.md"}')
    return value


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def write(value: object) -> str:
    """Return the JSON text of what :func:`read_object` read."""
    if isinstance(value, Obj):
        return "{" + ",".join(f"{json.dumps(key)}:{write(item)}" for key, item in value.pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write(item) for item in value) + "]"
    return value.text if isinstance(value, Number) else json.dumps(value)


def parse_line(untrusted_line: str) -> Line:
    """Return the call one line of a batch asks for.

    Raises:
        Malformed: ``batch_line`` (a key missing, unknown, twice, or of the wrong type), or as :func:`read_object`.
    """
    if len(untrusted_line) > MAX_LINE:
        raise Malformed("batch_line", f"the line is longer than {MAX_LINE} characters")
    pairs = read_object(untrusted_line, "the line").pairs
    del untrusted_line
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("batch_line", "the line has a key twice")
    if not {"agent", "tool", "args"} <= found.keys() <= {"agent", "tool", "args", "session"}:
        raise Malformed("batch_line", "the line needs agent, tool and args, may have session, and nothing else")
    agent, tool, args, session = found["agent"], found["tool"], found["args"], found.get("session")
    if not (isinstance(agent, str) and isinstance(tool, str) and isinstance(args, Obj)):
        raise Malformed("batch_line", "agent and tool must be strings, args an object")
    if session is not None and not isinstance(session, str):
        raise Malformed("batch_line", "session must be a string")
    return Line(agent, tool, write(args), session)
