"""The end of children as something to wait for, and the signals of a program as it expects to find them.

Stops: a child's end being noticed only at the next order: the kernel tells of it through a descriptor. Speaks to the C
library, for the module ``signal`` would make an enumeration of every signal first.
"""

from __future__ import annotations

import os

from bascule.sandboxes.worker.kernel import Memory, checked, function

SIGINT, SIGPIPE, SIGTERM, SIGKILL, SIGCHLD, SIGXFSZ = 2, 13, 15, 9, 17, 25
_SET_BYTES = 128
"""A ``sigset_t`` of the C library; the kernel's is its beginning."""

_SETMASK = 2
_DEFAULT = 0


def _mask(*signals: int) -> Memory:
    return Memory(sum(1 << number - 1 for number in signals).to_bytes(_SET_BYTES, "little"))


def ends_of_children() -> int:
    """Return a descriptor that can be read whenever a child has ended; does not block.

    Raises:
        OSError: the kernel refused.
    """
    ends = _mask(SIGCHLD)
    checked(function("sigprocmask")(_SETMASK, ends.address, 0))
    return checked(function("signalfd")(-1, ends.address, os.O_CLOEXEC | os.O_NONBLOCK))


def restore() -> None:
    """Block nothing and ignore nothing, as a program expects to begin.

    Raises:
        OSError: the kernel refused.
    """
    for number in (SIGINT, SIGPIPE, SIGTERM, SIGCHLD, SIGXFSZ):
        function("signal")(number, _DEFAULT)
    nothing = _mask()
    checked(function("sigprocmask")(_SETMASK, nothing.address, 0))
