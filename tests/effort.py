"""Work that must not grow out of hand: done by a process of its own that the kernel ends at a limit of processor time.

A limit, not a measurement: what is tested costs a hundredth of it when it is right, and many times it when it is not.
"""

from __future__ import annotations

import resource
import subprocess
import sys

SECONDS = 20


def enough(code: str) -> bool:
    """Return True if Python code ends well within :data:`SECONDS` of processor time."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, preexec_fn=limit, stdin=subprocess.DEVNULL, capture_output=True
    )
    assert ended.returncode in (0, -9, -24), ended.stderr.decode()
    return ended.returncode == 0
