"""Ten processes that do one thing at the same instant; what each came to is one line of standard output."""

from __future__ import annotations

import os
from collections.abc import Callable

RACERS = 10


def aside(work: Callable[[], object]) -> None:
    """Do something in a process of its own: a process that forks must never have had a database."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    os.waitpid(child, 0)


def all_at_once(attempt: Callable[[Callable[[], object]], str]) -> None:
    """Let every racer prepare, wait for the gun that it is given, try, and write down what came of it."""
    gun, trigger = os.pipe()
    children = []
    for _ in range(RACERS):
        child = os.fork()
        if child == 0:
            os.close(trigger)
            os.write(1, f"{attempt(lambda: os.read(gun, 1))}\n".encode())
            os._exit(0)
        children.append(child)
    os.close(trigger)
    for child in children:
        os.waitpid(child, 0)
