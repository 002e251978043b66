"""At a cloud's address somebody listens who counts, in a network that is the demo's alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from demo.canaries import Watch
from demo.network import METADATA
from demo.steps import Canary
from tests.house.reading import ROOT

COUNTS = """
import socket
from demo.canaries import Listener
from demo.network import METADATA, own_network
assert own_network()
with_nobody = socket.socket().connect_ex(METADATA)
listener = Listener(METADATA)
socket.create_connection(METADATA, 5).close()
print(with_nobody, listener.visits(), [name for _, name in socket.if_nameindex()])
"""


def test_a_service_that_nobody_has_is_not_said_to_be_reached() -> None:
    assert Watch(Canary(reached=True), None).state([]) == ""


@pytest.mark.live
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a network of its own")
def test_who_asks_there_is_counted_and_the_machines_own_network_is_untouched() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "111 1 ['lo']\n"
    with pytest.raises(OSError):
        socket.create_server((METADATA[0], 0)).close()
