"""The machine, in one line, so that a reader can judge the noise; and one core to stay on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def describe() -> str:
    """Return cores, processor, kernel, Python and load."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores ({_processor()}), Linux {platform.release()}, "
        f"Python {platform.python_version()}, load average {load}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core meanwhile: moving between cores empties caches and shows as a long tail."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
