"""The end of a child is told by a descriptor, and a program begins with signals as it expects them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bascule

SOURCE = str(Path(bascule.__file__).resolve().parents[1])
SCRIPT = """
import os, select, sys
sys.path.append(sys.argv[1])
from bascule.sandboxes.resident import signals
from bascule.sandboxes.worker import walls
walls.ignore_interrupts()
ends = signals.ends_of_children()
quiet = select.select([ends], [], [], 0)[0]
if (pid := os.fork()) == 0:
    os._exit(0)
told = select.select([ends], [], [], 10)[0]
os.waitpid(pid, 0)
print(len(quiet), len(told), len(os.read(ends, 4096)) > 0)
for restored in (False, True):
    if restored:
        signals.restore()
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(status["SigBlk"].strip(), status["SigIgn"].strip())
"""


def test_children_are_heard_and_programs_begin_afresh() -> None:
    words = [sys.executable, "-I", "-S", "-B", "-c", SCRIPT, SOURCE]
    heard, before, after = subprocess.run(words, capture_output=True, check=True, text=True).stdout.splitlines()
    assert heard == "0 1 True"
    blocked, ignored = (int(word, 16) for word in before.split())
    assert blocked == 1 << 16  # SIGCHLD
    assert ignored & 1 << 1  # SIGINT
    library = 3 << 31  # the C library's own two, which nobody can set and a test's own parent may hand down ignored
    assert [int(word, 16) & ~library for word in after.split()] == [0, 0]
