"""The gateway's own process, which kills itself at a boundary that a file names; run in place of ``bascule.app``.

Tests copy this file into a home, where the gateway's account can read it. The file ``kill`` beside it holds a
boundary and how many times it is to be reached; while there is none, this is an ordinary gateway.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from bascule.app.process import main
from bascule.gate import Boundary

ORDER = Path(__file__).with_name("kill")


class Executioner:
    """Kills this process when the boundary in :data:`ORDER` is reached for the nth time since the order was given."""

    def __init__(self) -> None:
        self._order = ""
        self._left = 0

    def __call__(self, boundary: Boundary) -> None:
        """Be told that a boundary is passed."""
        order = ORDER.read_text() if ORDER.exists() else ""
        if order != self._order:
            self._order = order
            self._left = int(order.split()[1]) if order else 0
        if not order or boundary.value != order.split()[0]:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Executioner()))
