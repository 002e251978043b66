"""What a judge says, and what all of them together say.

Stops: a lenient opinion outvoting a strict one. A decision has the effect of its strictest verdict, and a decision
without verdicts is a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Effect(IntEnum):
    """Ordered by strictness, so ``max`` is the strictest."""

    ALLOW = 0
    ASK = 1
    DENY = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judge's answer: who, what, why, and what would change it.

    ``code`` is stable and stands in ``docs/codes.md``; ``reason`` and ``remedy`` are one line each.
    """

    effect: Effect
    judge: str
    code: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Every verdict on one call; ``effect`` is that of the strictest."""

    verdicts: tuple[Verdict, ...]

    @property
    def effect(self) -> Effect:
        """The strictest effect; DENY if nobody spoke."""
        return max((verdict.effect for verdict in self.verdicts), default=Effect.DENY)

    @property
    def leading(self) -> Verdict:
        """The first of the strictest verdicts: the one to tell about.

        Raises:
            ValueError: nobody spoke.
        """
        return max(self.verdicts, key=lambda verdict: verdict.effect)


def allow(judge: str, code: str = "ok", reason: str = "") -> Verdict:
    """An ALLOW verdict. Judges keep these as module constants: the common answer costs nothing."""
    return Verdict(Effect.ALLOW, judge, code, reason)


def ask(judge: str, code: str, reason: str, remedy: str = "") -> Verdict:
    """An ASK verdict: the operator decides."""
    return Verdict(Effect.ASK, judge, code, reason, remedy)


def deny(judge: str, code: str, reason: str, remedy: str = "") -> Verdict:
    """A DENY verdict: nobody can lift it but a change of policy or of facts."""
    return Verdict(Effect.DENY, judge, code, reason, remedy)
