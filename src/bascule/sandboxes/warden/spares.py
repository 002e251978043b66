"""Children made ahead, so that a box need not wait for its namespaces and control group.

Stops: nothing by itself; a spare belongs to nobody until it gets its one order.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque

from bascule.core.errors import Unavailable
from bascule.sandboxes.warden.cgroups import Cgroups
from bascule.sandboxes.warden.launch import Filters, become_spare, make_spare, read_group
from bascule.sandboxes.warden.nursery import Nursery
from bascule.sandboxes.warden.order import Spare

_READY = 2
"""How many are kept, at 3.6 MB each; a pipeline of two starts without waiting."""


class Spares:
    """Keeps, hands out and ends spares."""

    def __init__(self, groups: Cgroups, filters: Filters) -> None:
        self._groups = groups
        self._nursery = Nursery(lambda orders, told: become_spare(orders, read_group(told), filters))
        self._ready: deque[Spare] = deque()

    @property
    def lacking(self) -> bool:
        """Fewer are ready than should be."""
        return len(self._ready) < _READY

    def take(self) -> Spare:
        """Return one, made now if none is ready.

        Raises:
            Unavailable: no process can be made.
        """
        return self._ready.popleft() if self._ready else self._make()

    def keep_one(self) -> None:
        """Make one ahead; where that fails, the next request finds out and says so."""
        with contextlib.suppress(Unavailable):
            self._ready.append(self._make())

    def discard(self, spare: Spare) -> None:
        """End one that got no order."""
        spare.orders.close()
        os.kill(spare.pid, signal.SIGKILL)
        os.waitpid(spare.pid, 0)
        self._groups.take_back(spare.group)

    def end(self) -> None:
        """End all."""
        while self._ready:
            self.discard(self._ready.popleft())
        self._nursery.end()

    def _make(self) -> Spare:
        group = self._groups.lend()
        try:
            return make_spare(self._nursery, group)
        except OSError as error:
            self._groups.take_back(group)
            raise Unavailable("box_fork", f"no process can be made: {os.strerror(error.errno or 0)}") from None
