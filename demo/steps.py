"""Steps as data: ``demo/*.jsonl``, one JSON object a line, each one call of the model and what must come of it.

A line has ``title`` (for people), ``operator`` (the words that open the turn), ``call`` (``{"tool", "args"}``),
``say`` (the model's closing words), ``canary`` (one of ``{"text": token}``, ``{"file": path}``, ``{"visits": true}``,
``{"reached": true}``), ``want`` (``{"effect", "canary", "by"}``; of several effects separated by ``|`` each call may
have any; ``by`` names a judge that must object, if any must). Optional: ``agent`` (whose model plays it; else the main
agent's), ``answer`` (``yes`` or ``no``, what the operator says if asked; else no), ``through`` (where they say it:
``chat``, ``http``, ``signal``; else in the chat), ``without`` (the same deed as a plain shell does it), ``times`` (how
often the call is made), ``racing`` (names are swapped meanwhile). ``$name`` stands for a place or a token of this run,
``$$`` for a dollar. Stops: a step that expects nothing, or whose key is misspelt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

EFFECTS = frozenset({"ran", "failed", "denied", "asked: no", "asked: yes, ran", "asked: yes, failed"})
"""What can become of a call: it ran, ran and failed, was denied, or waited for the operator's answer first."""

STATES = frozenset(
    {"seen", "unseen", "made", "absent", "changed", "untouched", "visited", "unvisited", "reached", "unreached"}
)
"""What a canary can say: of a secret text, of a file, of a service that listens, of the ledger's connections."""

MAIN, WEB = "bruba-main", "bruba-web"
"""Whose model can play a step."""

SURFACES = {"chat": "in the chat", "http": "over HTTP, with a token", "signal": "over Signal, with a thumb"}
"""Where the operator can answer, and how that is told."""

_KEYS = frozenset(
    {"title", "operator", "agent", "call", "say", "canary", "want", "answer", "through", "without", "times", "racing"}
)


class DemoError(Exception):
    """The demo cannot go on; one line for people."""


@dataclass(frozen=True, slots=True)
class Canary:
    """What is looked at after a step: exactly one of a token, a file, the listening service, connections at all."""

    text: str = ""
    file: str = ""
    visits: bool = False
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One call and what is expected of it; see the module for each field."""

    title: str
    operator: str
    tool: str
    args: Mapping[str, Any]
    say: str
    canary: Canary
    effects: frozenset[str]
    state: str
    by: str
    answer: str
    through: str
    without: str
    times: int
    racing: bool
    agent: str = MAIN

    def script(self) -> list[str]:
        """Return the two lines a scripted model plays: the call, as often as it is made, and the closing words."""
        calls = [{"tool": self.tool, "args": dict(self.args)}] * self.times
        return [json.dumps({"calls": calls}), json.dumps({"say": self.say})]


def load(path: Path, names: Mapping[str, str]) -> list[Step]:
    """Read a file of steps.

    Args:
        path: JSON lines.
        names: what ``$name`` stands for.

    Raises:
        DemoError: a line that is not a step, with file and line.
    """
    steps = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            steps.append(_step(_filled(json.loads(line), names)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DemoError(f"{path.name}:{number}: {type(error).__name__}: {error}") from None
    return steps


def script(steps: Sequence[Step]) -> str:
    """Return what the scripted provider plays for these steps, in order."""
    return "".join(f"{line}\n" for step in steps for line in step.script())


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return Template(value).substitute(names)
    if isinstance(value, list):
        return [_filled(each, names) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, names) for key, each in value.items()}
    return value


def _step(value: Mapping[str, Any]) -> Step:
    foreign = value.keys() - _KEYS
    if foreign:
        raise ValueError(f"a step has no key {sorted(foreign)[0]!r}")
    effects = frozenset(value["want"]["effect"].split("|"))
    state, answer, through = value["want"]["canary"], value.get("answer", "no"), value.get("through", "chat")
    agent = value.get("agent", MAIN)
    words = ((state, STATES), (answer, {"yes", "no"}), (through, SURFACES), (agent, {MAIN, WEB}))
    if not effects <= EFFECTS or any(word not in known for word, known in words):
        raise ValueError("'want', 'answer', 'through' or 'agent' is not one of the words there are")
    return Step(
        title=value["title"],
        operator=value["operator"],
        tool=value["call"]["tool"],
        args=value["call"]["args"],
        say=value["say"],
        canary=Canary(**value["canary"]),
        effects=effects,
        state=state,
        by=value["want"].get("by", ""),
        answer=answer,
        through=through,
        without=value.get("without", ""),
        times=value.get("times", 1),
        racing=value.get("racing", False),
        agent=agent,
    )
