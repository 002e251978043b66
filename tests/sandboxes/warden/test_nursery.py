"""Children made by a copy of the warden: whose they are, what they know, and what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

_SCRIPT = """
import json, os, signal, socket
from bascule.sandboxes.warden.nursery import Nursery

def child(stream, said):
    held = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]
    stream.send(json.dumps([os.getpid(), said.decode(), later, len(held)]).encode())
    os._exit(7)

later = "as it was"
secret = os.open("/dev/null", os.O_RDONLY)
nursery = Nursery(child)
later = "changed"

def made(said):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        pid = nursery.make(said, theirs)
        theirs.close()
        told = json.loads(ours.recv(4096))
    return told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

found = {"first": made(b"one"), "second": made(b"two")}
os.kill(nursery._pid, signal.SIGKILL)
try:
    made(b"three")
except OSError:
    found["gone"] = True
found["again"] = made(b"four")
nursery.end()
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    found["left"] = 0
print(json.dumps(found))
"""


@pytest.mark.live
def test_children_are_the_callers_and_know_nothing_that_came_later() -> None:
    if os.geteuid() != 0:
        pytest.skip("process namespaces can be made by root only")
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    # First of its namespace; its stream and the directory it is listing are all it holds; what was set later it lacks.
    assert (found["first"], found["second"]) == ([[1, "one", "as it was", 2], 7], [[1, "two", "as it was", 2], 7])
    # One that was started again is a copy of what there is then.
    assert (found["gone"], found["again"], found["left"]) == (True, [[1, "four", "changed", 2], 7], 0)
