"""Starting and ending the file worker of a container.

Stops: the worker being mistaken for something a call left behind: it is made without a signal for its end, so the
kernel leaves it out when the resident asks whether any child is left (``wait(2)``, ``__WCLONE``). A process that a
program orphans cannot pass for one: on its way to the resident the kernel gives it that signal.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

from bascule.sandboxes.worker import walls
from bascule.sandboxes.worker.main import main

_CLONE = {"x86_64": 56, "aarch64": 220}
_WCLONE = -0x80000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def start(channel: int) -> int:
    """Return the process id of a new file worker on a connected stream socket.

    Raises:
        OSError: no process can be made.
    """
    number = _CLONE.get(os.uname().machine)
    if number is None:
        raise OSError(38, "clone: number unknown on this architecture")
    nothing = ctypes.c_long(0)
    pid = int(_LIBC.syscall(ctypes.c_long(number), nothing, nothing, nothing, nothing, nothing))
    if pid < 0:
        raise OSError(ctypes.get_errno(), "no process can be made")
    if pid == 0:
        _become(channel)
    return pid


def _become(channel: int) -> None:
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Its self-test reads what the kernel says of it, which an undumpable process may not; its walls undo this.
        walls.set_dumpable(on=True)
        main(channel)
    finally:
        os._exit(3)


def end(pid: int) -> None:
    """End a file worker and take it away; 0 is none."""
    if pid == 0:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, _WCLONE)


def lives(pid: int) -> bool:
    """True if the file worker is still there; one that has ended is taken away."""
    try:
        return pid != 0 and os.waitpid(pid, os.WNOHANG | _WCLONE)[0] == 0
    except ChildProcessError:
        return False
