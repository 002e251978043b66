"""What came back from an effect, already cut to size and labelled."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.core.label import UNKNOWN, Confidentiality, Integrity, Label


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one call.

    Attributes:
        ok: the tool did what was asked (for a program: exit status 0).
        content: bytes as they came, at most the confinement's output limit.
        exit: a program's exit status, ``128 + signal`` if it was killed; None for other tools.
        truncated: content was cut, and says so nowhere else.
        label: where the content came from.
        code: stable name of the failure, empty if ok.
    """

    ok: bool
    content: bytes
    exit: int | None = None
    truncated: bool = False
    label: Label = UNKNOWN
    code: str = ""


OURS = Label(Integrity.TRUSTED, Confidentiality.PRIVATE)
"""Words Bascule itself chose: nothing a stranger wrote is in them, though what they tell may be private."""


def failed(code: str, message: str) -> Outcome:
    """An outcome for an effect that did not come about; ``message`` is told to the model and the operator."""
    return Outcome(ok=False, content=message.encode("utf-8", "backslashreplace"), label=OURS, code=code)
