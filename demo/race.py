"""The race: one process swaps a file for a link as fast as the kernel lets it, while somebody reads by name.

The swapper acts as the agent's own kernel uid, as a program of a turned model would if it ever got one to run. The
naive reader does what many tools do, looks first and opens then, and is the proof that the race can be won.
"""

from __future__ import annotations

import ctypes
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.account import fork_as
from demo.steps import DemoError

RENAME_EXCHANGE = 2
"""``renameat2(2)``: swap both names in one step."""

BATCH = 500
"""Swaps between two looks at whether it is over."""

ENOUGH, PATIENCE = 1.0, 20.0
"""Seconds for which the naive reader tries; and for which it goes on as long as it has never won."""


@dataclass(slots=True)
class Race:
    """How often names were swapped, and what the naive reader got; whole once the race is over."""

    swaps: int = 0
    tries: int = 0
    leaks: int = 0


@contextmanager
def racing(home: Path, uid: int, swapped: Path, target: Path) -> Iterator[Race]:
    """Swap ``swapped`` for a link to ``target`` and back for as long as the block runs; neither name is left behind.

    Args:
        home: whose accounts these are.
        uid: the agent's kernel uid, which must be able to write the directory of ``swapped``.
        swapped: the name that is read; it must not exist.
        target: where the link leads.

    Raises:
        DemoError: the swapper could not work.
    """
    race = Race()
    directory = os.open(swapped.parent, os.O_RDONLY | os.O_DIRECTORY)
    (over, end), (counted, count) = os.pipe(), os.pipe()

    def work() -> None:
        os.close(end)
        _swap(directory, os.fsencode(swapped.name), os.fsencode(target), over, count)

    child = fork_as(home, uid, work)
    for descriptor in (directory, over, count):
        os.close(descriptor)
    try:
        if os.read(counted, 1) != b"+":
            raise DemoError("the process that swaps names could not start")
        yield race
    finally:
        os.close(end)
        race.swaps = int(os.read(counted, 64) or b"0")
        os.close(counted)
        os.waitpid(child, 0)


def _swap(directory: int, name: bytes, target: bytes, over: int, count: int) -> None:
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    other = name + b".link"
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=directory)
    os.write(file, b"Nothing new.\n")
    os.close(file)
    os.symlink(target, other, dir_fd=directory)
    os.write(count, b"+")
    swaps = 0
    while not select.select([over], [], [], 0)[0]:
        for _ in range(BATCH):
            if renameat2(directory, name, directory, other, RENAME_EXCHANGE) != 0:
                raise OSError(ctypes.get_errno(), "renameat2")
        swaps += BATCH
    for made in (name, other):
        os.unlink(made, dir_fd=directory)
    os.write(count, b"%d" % swaps)


def read_naively(race: Race, path: Path, token: str) -> None:
    """Look whether the name is a link and open it if not, again and again; count how often that gave the token."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < ENOUGH or (not race.leaks and passed < PATIENCE):
        race.tries += 1
        if not path.is_symlink():
            # Others have their turn between looking and opening, as they may at any time on a busy machine.
            os.sched_yield()
            race.leaks += token in path.read_text("utf-8")
