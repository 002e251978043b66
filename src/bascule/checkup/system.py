"""The whole look at this machine, in one call: what verbs and the gateway's status ask for.

Stops: a verb and the status looking at different things. Does not judge; see ``checks``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from bascule.checkup.checks import examine
from bascule.checkup.gather import gather
from bascule.checkup.machine import Machine
from bascule.checkup.raising import look_everywhere
from bascule.core.errors import BasculeError
from bascule.core.finding import Finding, Severity
from bascule.host.policy_files import load

KEPT_SECONDS = 30.0
"""How long a look is good for: it takes some milliseconds, in which the gateway does nothing else."""


def picture(home: Path, pid: int | None, *, raising: bool) -> Machine:
    """Return the picture of this machine, without what the operator accepted before.

    Args:
        home: absolute path, links resolved.
        pid: of the running gateway, None if none runs.
        raising: look for files that raise whoever starts them, which takes seconds.

    Raises:
        BasculeError: the tables of accounts cannot be read.
    """
    machine = gather(home, pid, users_of(home))
    if not raising:
        return machine
    look = look_everywhere(machine.subjects, machine.who.tables)
    return replace(machine, raised=tuple(look.found), closed=look.why)


def users_of(home: Path) -> tuple[str, ...]:
    """The accounts policy says are operators'; a policy that is broken names nobody."""
    try:
        return load(home).policy.users
    except BasculeError:
        return ()


class Watch:
    """What is critical about this machine and can be seen at once, for a gateway's status.

    Args:
        home: absolute path.
        pid: the gateway's own.
        users: accounts that policy says are operators'.
    """

    def __init__(self, home: Path, pid: int, users: tuple[str, ...]) -> None:
        self._home, self._pid, self._users = home, pid, users
        self._at = float("-inf")
        self._found: tuple[Finding, ...] = ()

    def critical(self) -> tuple[Finding, ...]:
        """Return what is critical, as it was seen at most ``KEPT_SECONDS`` ago."""
        now = time.monotonic()
        if now - self._at > KEPT_SECONDS:
            self._at, self._found = now, self._look()
        return self._found

    def _look(self) -> tuple[Finding, ...]:
        try:
            found = examine(gather(self._home, self._pid, self._users))
        except BasculeError as error:
            return (Finding("host.tables_unread", Severity.CRITICAL, error.message, error.remedy),)
        return tuple(finding for finding in found if finding.severity is Severity.CRITICAL)
