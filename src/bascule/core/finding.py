"""What a check found: a fact about this machine or this policy that an operator should know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """Ordered by urgency."""

    INFO = 0
    WARN = 1
    CRITICAL = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: ``check`` is its stable id, ``detail`` says what is so, ``remedy`` what to do."""

    check: str
    severity: Severity
    detail: str
    remedy: str = ""
