"""Starting and ending the file worker of a container.

Stops: the worker being mistaken for something a call left behind: it is made without a signal for its end, so the
kernel leaves it out when the resident asks whether any child is left (``wait(2)``, ``__WCLONE``). A process that a
program orphans cannot pass for one: on its way to the resident the kernel gives it that signal.
"""

from __future__ import annotations

import os

from bascule.sandboxes.resident.signals import SIGKILL
from bascule.sandboxes.worker import kernel, walls
from bascule.sandboxes.worker.main import main

_CLONE = {"x86_64": 56, "aarch64": 220}
_WCLONE = -0x80000000


def start(channel: int) -> int:
    """Return the process id of a new file worker on a connected stream socket.

    Raises:
        OSError: no process can be made.
    """
    number = _CLONE.get(os.uname().machine)
    if number is None:
        raise OSError(38, "clone: number unknown on this architecture")
    pid = kernel.checked(kernel.call(number))
    if pid == 0:
        _become(channel)
    return pid


def _become(channel: int) -> None:
    try:
        # Its self-test reads what the kernel says of it, which an undumpable process may not; its walls undo this.
        walls.set_dumpable(on=True)
        main(channel)
    finally:
        os._exit(3)


def end(pid: int) -> None:
    """End a file worker and take it away; 0 is none."""
    if pid == 0:
        return
    try:
        os.kill(pid, SIGKILL)
        os.waitpid(pid, _WCLONE)
    except (ProcessLookupError, ChildProcessError):
        return


def lives(pid: int) -> bool:
    """True if the file worker is still there; one that has ended is taken away."""
    try:
        return pid != 0 and os.waitpid(pid, os.WNOHANG | _WCLONE)[0] == 0
    except ChildProcessError:
        return False
