"""The head and foot every question has, whatever the tool: who asks, for what, why, and where the words came from.

Stops: a question drawn by the model. Every line is built from the parsed call; nothing is cut, and what a screen could
misread is made visible by whoever prints it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bascule.core.call import Call
from bascule.core.canonical import canonical
from bascule.core.lookalikes import lookalikes
from bascule.core.toolspec import ActionClass
from bascule.core.verdict import Decision, Effect

REVERSIBILITY: dict[ActionClass, str] = {
    ActionClass.READ: "changes nothing; what is read reaches the model",
    ActionClass.MEMORY: "changes nothing; what is read reaches the model",
    ActionClass.COMPUTE: "runs a program in a box of its own; reads only unless its entry says writes",
    ActionClass.WRITE: "changes a file; the old content is not kept",
    ActionClass.PEER: "reaches another agent; cannot be taken back",
    ActionClass.WEB: "leaves the machine; cannot be taken back",
    ActionClass.EXTERNAL: "leaves the machine; cannot be taken back",
    ActionClass.SCHEDULE: "will act later, again and again, until it is removed",
    ActionClass.ADMIN: "changes how Bascule itself works",
}
"""What can be undone, by action class; part of every card."""


def one_line(text: str) -> str:
    """Return text without anything a screen or a file could take for the end of a line, each spelled out.

    A card is a list of lines; a file name with a line break in it must not become two of them.
    """
    if len(text.splitlines()) < 2 and not text.endswith(_ENDS):
        return text
    return "".join(_SPELLED.get(character, character) for character in text)


_ENDS = ("\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
_SPELLED = {end: end.encode("unicode_escape").decode("ascii") for end in _ENDS}


LONG = 200
"""Characters of an argument above which the list of parameters only counts it; the tool's own lines show it whole."""


def head(call: Call, decision: Decision, action: ActionClass) -> tuple[str, ...]:
    """Return the lines every card begins with, each reason for asking and every parameter among them.

    Args:
        call: what is asked about.
        decision: what the judges said.
        action: the worst class in it.
    """
    why = [verdict for verdict in decision.verdicts if verdict.effect is Effect.ASK]
    sources = ", ".join(sorted(call.label.sources)) or "nothing yet"
    return (
        # The first line is all that a list shows, so it says which file, which command.
        f"{call.agent} wants to use {call.tool}: {_parameters(call)}",
        f"{action.value}: {REVERSIBILITY[action]}",
        f"session: {call.session}",
        *(f"asked by {verdict.judge}: {verdict.reason}" for verdict in why),
        *(f"what would change that: {verdict.remedy}" for verdict in why if verdict.remedy),
        f"its words are {call.label.integrity} and {call.label.confidentiality}; they come from: {sources}",
    )


def _parameters(call: Call) -> str:
    shown = {
        name: f"({len(value)} characters, below)" if isinstance(value, str) and len(value) > LONG else value
        for name, value in call.args.items()
    }
    return canonical(dict(shown)).decode("utf-8")


def foot(call: Call, lines: Sequence[str]) -> tuple[str, ...]:
    """Return the lines every card ends with: letters to look at twice, and what the yes will be bound to."""
    bound = [f"bound to {name}: {value}" for name, value in sorted(call.bindings.items())]
    return (*lookalikes(lines), *bound, f"digest of all this: {call.digest}")
