"""A process that swaps two names as fast as the kernel lets it, for races against whoever checks before opening.

``python race.py A B`` exchanges the two paths (``renameat2`` with ``RENAME_EXCHANGE``) until its standard input closes,
then prints how often it did. Needs nothing but the standard library, so that it can run under any account.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

RENAME_EXCHANGE = 2
AT_FDCWD = -100


@dataclass
class Flips:
    """How often the names were exchanged; set when the race is over."""

    count: int = 0


@contextmanager
def flipping(first: str, second: str) -> Iterator[Flips]:
    """Exchange two existing paths in another process for as long as the block runs; they end up either way round."""
    flips = Flips()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, first, second], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"go\n"
        yield flips
    finally:
        out, _ = process.communicate()
    flips.count = int(out)


def main(first: str, second: str) -> None:
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    os.write(1, b"go\n")
    one, two, count = os.fsencode(first), os.fsencode(second), 0
    while not over.is_set():
        for _ in range(1000):
            if renameat2(AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        count += 1000
    os.write(1, b"%d\n" % count)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
