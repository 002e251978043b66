"""Exit statuses of ``bascule call``, as design and documentation promise them to scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """What a status means."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    WAITS = 3
    DENIED = 4


_ORDER = (Exit.USAGE, Exit.DENIED, Exit.WAITS, Exit.FAILED, Exit.SUCCEEDED)


def of_report(report: Mapping[str, Any]) -> Exit:
    """Return the status of one call's report.

    Args:
        report: a ``CallReport``. An approval that was denied, expired or cancelled is a denial; one that still waits
            is no failure; a dry run is judged by what would happen.
    """
    effect = report["decision"]["effect"]
    outcome, approval = report["outcome"], report["approval"]
    if outcome is not None:
        return Exit.SUCCEEDED if outcome["ok"] else Exit.FAILED
    if effect == "deny" or (approval is not None and approval["state"] in {"denied", "expired", "cancelled"}):
        return Exit.DENIED
    if effect == "ask" and (approval is None or approval["state"] == "pending"):
        return Exit.WAITS
    if effect == "allow" and report["ledger"]["seq"] is None:
        return Exit.SUCCEEDED
    return Exit.FAILED


def of_batch(statuses: Iterable[Exit]) -> Exit:
    """Return the first of usage, denied, waits, failed, succeeded that occurs; an empty batch succeeded."""
    seen = set(statuses)
    return next((status for status in _ORDER if status in seen), Exit.SUCCEEDED)
