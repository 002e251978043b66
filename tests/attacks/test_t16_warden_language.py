"""T16: whatever the gateway says that is not in the warden's language changes nothing: no process, mount, container."""

from __future__ import annotations

import json
import os
import random
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sandboxes import daemon
from tests.sandboxes.boxed import ONE, Ground, grounded

from bascule.core.errors import Malformed
from bascule.core.outfit import PLAIN
from bascule.sandboxes.warden.messages import LARGEST_MESSAGE, parse
from bascule.sandboxes.warden.outfits import outfit_json
from bascule.sandboxes.warden.values import LIMITS as NAMES

pytestmark = pytest.mark.live

LIMITS = dict.fromkeys(sorted(NAMES), 1 << 28) | {"cpus": 1000}
DATA = {"agent": ONE, "writable": True, "mounts": [], "limits": LIMITS, "bare": False}
MORE = {"outfit": outfit_json(PLAIN), "proxy": False}
CONTAIN = {
    "op": "contain",
    "place": "0" * 32,
    "image": "bascule-box:bookworm",
    "digest": "a" * 64,
    **DATA,
    **MORE,
    "bridge": False,
    "dns": ["9.9.9.9"],
}
SEEDS: list[dict[str, Any]] = [
    {"id": 1, "op": "start", **DATA}, {"id": 1, **CONTAIN}, {"id": 1, "op": "discharge", "agent": ONE, "place": "0" * 32},
    {"id": 1, "op": "containers"}, {"id": 1, "op": "tools", "agent": ONE}, {"id": 1, "op": "stop", "agent": ONE},
    {"id": 1, "op": "kill", "box": 1}, {"id": 1, "op": "status", "box": 1},
    {"id": 1, "op": "run", "argv": ["true"], "program": "/usr/bin/true", "sha256": "0" * 64, "kind": "native",
     "interpreter": "", "needs": [], **DATA, **MORE},
]  # fmt: skip
"""Every word as it may be said."""

STRANGE = [
    None, True, -1, 1 << 70, 1.5, "", "/", "../one", "one\n", "One", "two\0", "/proc/1/root", "a" * 5000, [], [[]], {}, {"op": "run"},
    "../" * 11 + "etc", "0" * 31 + "/", "0" * 33, "\u202eone", {"path": "/", "writable": True},
]  # fmt: skip


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp("t16w") / "home", "docker") as made:
        yield made


def corpus() -> list[bytes]:
    """Each word with each part wrong, missing, doubled, cut, or grown."""
    found: list[bytes] = []
    for seed in SEEDS:
        whole = json.dumps(seed).encode()
        found += [
            json.dumps({**seed, name: wrong}).encode() for name in seed for wrong in STRANGE if wrong != seed[name]
        ]
        found += [json.dumps({key: seed[key] for key in seed if key != name}).encode() for name in seed]
        found += [
            json.dumps({**seed, extra: 0}).encode()
            for extra in ("uid", "privileged", "binds", "user", "command", "target")
        ]
        found += [whole[:-1] + b', "%s": 1}' % name.encode() for name in seed]
        found += [whole[:at] for at in range(1, len(whole), 7)] + [
            whole + whole,
            whole + b"\0",
            b"[" + whole + b"]",
            whole.upper(),
        ]
        found += [whole[:-1] + b', "x": ' + b"[" * 40_000, whole + b" " * LARGEST_MESSAGE, b"\xef\xbb\xbf" + whole]
        found += [
            whole.replace(b'"id": 1', b'"id": ' + number)
            for number in (b"NaN", b"Infinity", b"1e3", b"-0", b"1" * 5000)
        ]
    return found


def is_language(message: bytes) -> bool:
    """True if the words are the language's own after all, with another value that it has."""
    try:
        parse(message[: LARGEST_MESSAGE + 100])
    except Malformed:
        return False
    return True


def ask(connection: socket.socket, message: bytes, files: list[int]) -> dict[str, Any]:
    socket.send_fds(connection, [message], files)
    assert select.select([connection], [], [], 30)[0], message[:200]
    return dict(json.loads(connection.recv(1 << 20)))


def effects(ground: Ground) -> tuple[list[str], int, int, list[str]]:
    """Containers, processes below the warden, its descriptors, and the files of the home."""
    wardens = [
        entry for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and str(ground.home).encode() in read(entry / "cmdline") and b"warden.process" in read(entry / "cmdline")
    ]  # fmt: skip
    held = max((len(os.listdir(entry / "fd")) for entry in wardens), default=0)
    return daemon.containers(ground.home), len(wardens), held, sorted(str(path) for path in ground.home.rglob("*"))


def settled(ground: Ground) -> tuple[list[str], int, int, list[str]]:
    """The same once it no longer changes: a warden keeps a process ready for the next box."""
    for _ in range(40):
        first = effects(ground)
        time.sleep(0.25)
        if first[1] > 1 and effects(ground) == first:
            break
    return effects(ground)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_nothing_outside_the_language_has_an_effect(ground: Ground) -> None:
    assert all(is_language(json.dumps(seed).encode()) for seed in SEEDS)
    every = corpus()
    messages = [message for message in every if not is_language(message)]
    assert len(every) - len(messages) < 100 < 1000 < len(messages)
    random.Random(16).shuffle(messages)
    before = settled(ground)
    null = os.open(os.devnull, os.O_RDWR)
    try:
        for number, message in enumerate(messages):
            said = ask(ground.socket, message[: LARGEST_MESSAGE + 100], [null] * (number % 9))
            assert said["ok"] is False, message[:300]
    finally:
        os.close(null)
    assert settled(ground) == before
    ground.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        ground.socket.recv(1)
    ground.socket.settimeout(None)
    assert ask(ground.socket, b'{"id": 5, "op": "stop", "agent": null}', []) == {"id": 5, "ok": True}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.sampled_from(SEEDS), name=st.text(min_size=1, max_size=12), value=anything)
def test_no_further_field_is_heard(ground: Ground, seed: dict[str, Any], name: str, value: object) -> None:
    if name in seed:
        return
    assert ask(ground.socket, json.dumps({**seed, name: value}).encode(), [])["ok"] is False


def test_descriptors_that_come_with_words_that_take_none_refuse_them(ground: Ground) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    try:
        for seed in SEEDS[1:8]:
            assert ask(ground.socket, json.dumps(seed).encode(), [null])["code"] == "warden_files"
    finally:
        os.close(null)
    assert daemon.containers(ground.home) == []
