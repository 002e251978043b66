"""The right to one effect.

Stops: an effect without a decision, a decision used for another call, and a permit used twice. Does not stop code in
the gateway's own process from building one: the gateway is trusted, its boxes are not.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.confinement import Confinement
from bascule.core.errors import NotPermitted


class Permit:
    """One call, one use, so tightly confined, until then. The only mutable noun: using it spends it."""

    __slots__ = ("_spent", "confinement", "digest", "expires")

    def __init__(self, call: Call, confinement: Confinement, expires: float) -> None:
        self.digest = call.digest
        self.confinement = confinement
        self.expires = expires
        self._spent = False

    def spend(self, call: Call, now: float) -> Confinement:
        """Use the permit up and return how tightly the call must run.

        Args:
            call: the call about to run.
            now: seconds since the epoch.

        Raises:
            NotPermitted: another call's permit, an expired one, or one already used.
        """
        if self._spent:
            raise NotPermitted("permit_spent", "this permit was already used")
        self._spent = True
        if call.digest != self.digest:
            raise NotPermitted("permit_mismatch", "the permit is for another call")
        if now >= self.expires:
            raise NotPermitted("permit_expired", "the permit ran out before the call began", "make the call again")
        return self.confinement
