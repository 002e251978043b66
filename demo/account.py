"""Acting as somebody else on this machine: as an agent's kernel uid, or as the owner of everything in the home.

Without root both need a user namespace with the operator's subordinate ids, mapped as the warden's is. The child is a
fork, so that it works where the other account could not even read our Python.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bascule.host import accounts, split
from bascule.linux.calls import CLONE_NEWUSER, die_with_parent, drop_account, unshare

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the demo early."""

OWNER = 0
"""Instead of an agent's uid: root, or without root the one to whom all subordinate ids belong."""


def fork_as(home: Path, uid: int, work: Callable[[], None]) -> int:
    """Fork a child that becomes ``uid``, does ``work`` and ends; return its pid.

    Args:
        home: whose table of accounts says which ids are mapped.
        uid: kernel uid as the host counts, or :data:`OWNER`.
        work: what to do; the child's status is 0 if it returns.

    Raises:
        BasculeError: the ids cannot be mapped.
    """
    subordinate = None if os.geteuid() == 0 else _subordinate(home)
    (told, tell), (waits, go) = os.pipe(), os.pipe()
    # A signal's exception in the young child would unwind the parent's work there, clean-up included.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if child == 0:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        os.close(told)
        os.close(go)
        _be(subordinate, uid, tell, waits, work)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(tell)
    os.close(waits)
    try:
        if subordinate is not None:
            split.map_ids(child, told, subordinate)
        os.write(go, b"g")
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(told)
        os.close(go)
    return child


def _subordinate(home: Path) -> split.Subordinate | None:
    table = accounts.load(home)
    if table is None:
        raise FileNotFoundError(f"{home} has no table of accounts")
    return split.subordinate_of(home, table)


def _be(subordinate: split.Subordinate | None, uid: int, tell: int, waits: int, work: Callable[[], None]) -> None:
    """Never returns. Signals are for the parent to act on; if the parent dies, so does this."""
    status = 1
    try:
        if subordinate is not None:
            unshare(CLONE_NEWUSER)
            os.write(tell, b"u\n")
        os.close(tell)
        if not os.read(waits, 1):
            os._exit(1)
        if subordinate is not None:
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        if uid != OWNER:
            inner = uid if subordinate is None else subordinate.inner(uid)
            drop_account(inner, inner)
        # The kernel forgets this wish whenever the account changes, so it comes last.
        die_with_parent(signal.SIGKILL)
        work()
        status = 0
    finally:
        with suppress(OSError):
            os._exit(status)
