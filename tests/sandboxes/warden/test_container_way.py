"""A listener is made in an empty network that is not ours, or not at all."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from bascule.core.errors import Unavailable
from bascule.sandboxes.warden.container_way import send_listener
from bascule.sandboxes.way import PORT

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("networks of one's own can be joined by root only", allow_module_level=True)


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """A process in an empty network of its own."""
    words = ["/usr/bin/unshare", "--net", "/bin/sh", "-c", "echo; exec sleep 60"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def sent(pid: int) -> tuple[str, list[int]]:
    """What a copy of this process says of it, and what arrived."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told, tell = os.pipe()
    if os.fork() == 0:
        said = "sent"
        try:
            send_listener(os.open(f"/proc/{pid}", os.O_PATH), theirs.fileno())
        except Unavailable as error:
            said = error.code
        finally:
            os.write(tell, said.encode())
            os._exit(0)
    os.close(tell)
    theirs.close()
    with open(told, encoding="ascii") as report, ours:
        said = report.read()
        os.wait()
        return said, socket.recv_fds(ours, 10, 4)[1]


def test_the_listener_is_in_the_other_network(elsewhere: int) -> None:
    said, files = sent(elsewhere)
    assert (said, len(files)) == ("sent", 1)
    with socket.socket(fileno=files[0]) as listener:
        assert listener.getsockname() == ("127.0.0.1", PORT)
        knock = f"import socket; socket.create_connection(('127.0.0.1', {PORT}), 5).send(b'from there')"
        words = ["/usr/bin/nsenter", f"--net=/proc/{elsewhere}/ns/net", "/usr/bin/python3", "-c", knock]
        subprocess.run(words, check=True, timeout=20)
        with listener.accept()[0] as peer:
            assert peer.recv(20) == b"from there"


def test_a_second_one_is_refused(elsewhere: int) -> None:
    said, files = sent(elsewhere)
    assert (said, sent(elsewhere)) == ("sent", ("container_network", []))
    os.close(files[0])


def test_our_own_network_is_refused() -> None:
    assert sent(os.getpid()) == ("container_network", [])


def test_a_network_with_anything_in_it_is_refused(elsewhere: int) -> None:
    words = ["/usr/bin/nsenter", f"--net=/proc/{elsewhere}/ns/net", "ip", "link", "add", "one", "type", "veth"]
    subprocess.run(words, check=True, timeout=20)
    assert sent(elsewhere) == ("container_network", [])


def test_a_process_that_is_gone_is_refused(elsewhere: int) -> None:
    handle = os.open(f"/proc/{elsewhere}", os.O_PATH)
    os.kill(elsewhere, 9)
    os.waitid(os.P_PID, elsewhere, os.WEXITED | os.WNOWAIT)
    os.close(handle)
    assert sent(elsewhere)[0] == "container_ended"
