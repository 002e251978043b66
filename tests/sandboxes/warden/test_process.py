"""A live warden among those who talk nonsense to it."""

from __future__ import annotations

import hashlib
import json
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sandboxes.boxed import ONE, Ground, grounded

from bascule.core.confinement import Limits

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("a warden with accounts of its own needs root here", allow_module_level=True)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp("warden") / "home", "root") as made:
        yield made


TRUE = hashlib.sha256(Path("/usr/bin/true").read_bytes()).hexdigest()


def ask(connection: socket.socket, message: bytes, files: list[int] | None = None) -> dict[str, object]:
    socket.send_fds(connection, [message], files or [])
    assert select.select([connection], [], [], 20)[0], "no answer"
    return json.loads(connection.recv(1 << 20))


def alive(connection: socket.socket) -> bool:
    return ask(connection, b'{"id": 77, "op": "stop", "agent": null}') == {"id": 77, "ok": True}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(min_size=1, max_size=300), count=st.integers(0, 8))
def test_noise_is_answered_and_survived(ground: Ground, noise: bytes, count: int) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    try:
        assert ask(ground.socket, noise, [null] * count)["ok"] is False
    finally:
        os.close(null)
    assert alive(ground.socket)


def run(**change: object) -> bytes:
    limits = dict.fromkeys(Limits.__slots__, 1 << 27) | {"cpus": 1000}
    body = {
        "id": 5, "op": "run", "agent": ONE, "argv": ["true"], "program": "/usr/bin/true", "sha256": "0" * 64,
        "kind": "native", "interpreter": "", "needs": [], "writable": False, "mounts": [], "limits": limits,
        "proxy": False, "bare": False, "outfit": {"environment": {}, "scratches": {}},
    }  # fmt: skip
    return json.dumps(body | change).encode()


@pytest.mark.parametrize(
    ("change", "count", "code"),
    [
        ({}, 3, "program_changed"),
        ({}, 2, "warden_files"),
        ({}, 5, "warden_files"),
        ({"proxy": True}, 3, "warden_files"),
        ({"proxy": True}, 6, "warden_files"),
        ({"proxy": True, "sha256": TRUE}, 4, "box_setup"),  # what should take the listener is no socket
        ({"agent": "nobody"}, 3, "agent_unknown"),
        ({"program": "/usr/bin/none-such"}, 3, "program_missing"),
        ({"program": "/bin/true"}, 3, "program_changed"),
        ({"mounts": [{"path": "/etc/shadow", "target": "", "writable": False}]}, 3, "mount_refused"),
        ({"needs": ["/proc/kcore"]}, 3, "mount_refused"),
        ({"uid": 0}, 3, "warden_fields"),
    ],
)
def test_refusals_name_their_reason(ground: Ground, change: dict[str, object], count: int, code: str) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    try:
        said = ask(ground.socket, run(**change), [null] * count)
    finally:
        os.close(null)
    assert (said["ok"], said["id"]) == (False, 5)
    assert said["code"] == code
    assert alive(ground.socket)


def test_longest_limits_are_kept(ground: Ground) -> None:
    digest = hashlib.sha256(Path("/usr/bin/true").read_bytes()).hexdigest()
    longest = dict.fromkeys(Limits.__slots__, (1 << 53) - 1) | {"cpus": 1 << 20}
    null = os.open("/dev/null", os.O_RDWR)
    try:
        assert ask(ground.socket, run(sha256=digest, limits=longest), [null] * 3)["ok"] is True
    finally:
        os.close(null)
    assert select.select([ground.socket], [], [], 20)[0]
    assert json.loads(ground.socket.recv(1 << 20))["exit"] == 0
    assert alive(ground.socket)


def test_descriptors_of_refused_messages_are_not_kept(ground: Ground) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"):
        ask(ground.socket, b"{}", [writing])
        os.close(writing)
        assert select.select([reading], [], [], 10)[0]
        assert os.read(reading, 1) == b""


def test_kill_of_an_unknown_box_is_no_error_and_its_status_is(ground: Ground) -> None:
    assert ask(ground.socket, b'{"id": 1, "op": "kill", "box": 99999}')["ok"] is True
    assert ask(ground.socket, b'{"id": 1, "op": "status", "box": 99999}')["code"] == "box_gone"
