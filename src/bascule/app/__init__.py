"""The application: the only room that knows every other."""

from __future__ import annotations

import socket
from pathlib import Path


def serve(home: Path, *, listener: socket.socket | None, connection: socket.socket | None) -> None:
    """Be a gateway from start to end; see :func:`bascule.app.start.serve`."""
    from bascule.app.start import serve as begin  # noqa: PLC0415 -- what a verb needs of this room must stay cheap

    begin(home, listener=listener, connection=connection)


def rehearse(home: Path) -> None:
    """Read the home's policy and judge its examples; see :func:`bascule.app.rehearsal.refuse_surprises`."""
    from bascule.app.rehearsal import refuse_surprises  # noqa: PLC0415 -- as above
    from bascule.host.policy_files import load  # noqa: PLC0415 -- as above

    refuse_surprises(load(home))
