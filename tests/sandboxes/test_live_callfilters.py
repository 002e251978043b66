"""The operator's own filter of system calls in real containers: it takes away, and gives nothing that was not there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.sandboxes import daemon
from tests.sandboxes.boxed import KEY, ONE, TWO, Boxed, Ground, grounded, within
from tests.sandboxes.containing import configure, docker, python
from tests.sandboxes.kernelfilter import filters_of, lets_through

from bascule.core.box import BoxKey
from bascule.core.callfloor import NAMESPACE_FLAGS, PASSED
from bascule.core.errors import Unavailable
from bascule.core.ids import SessionKey
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.syscalls import MACHINES

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("containers can be tried by root only", allow_module_level=True)

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
MACHINE = MACHINES[os.uname().machine]
EVERYTHING = (
    *PASSED,
    *MACHINE.denied,
    "clone",
    "clone3",
    "socket",
    "personality",
    "io_uring_enter",
    "pkey_alloc",
    "vmsplice",
)
"""What the most generous profile would name: every call that the default lets through, and every one that ours refuses."""


def profile(names: Sequence[str], **more: Any) -> bytes:
    return json.dumps({"defaultAction": ERRNO, "syscalls": [{"names": list(names), "action": ALLOW}], **more}).encode()


USUAL = (*PASSED, "clone", "socket")
WITHOUT_MKDIR = profile([name for name in USUAL if not name.startswith("mkdir")])
GENEROUS = profile(EVERYTHING)
MKDIR = ("mkdir", "-v", "/tmp/made")
MADE, REFUSED = (0, b"/usr/bin/mkdir: created directory '/tmp/made'\n"), (1, b"")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp("plain") / "home", "docker") as made:
        yield made


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp("strict") / "home", "docker", filters={ONE: WITHOUT_MKDIR}) as made:
        yield made


@pytest.fixture(scope="module")
def generous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp("generous") / "home", "docker", filters={ONE: GENEROUS}) as made:
        yield made


def says(ground: Ground, *argv: str) -> tuple[int, bytes]:
    async def body(boxed: Boxed) -> tuple[int, bytes]:
        result = await boxed.run(*argv)
        return result.exits[-1], result.stdout

    return within(ground, body)


def test_a_call_that_the_operator_forbids_is_refused_and_others_go_on(plain: Ground, strict: Ground) -> None:
    assert says(plain, *MKDIR) == MADE  # without the profile
    assert says(strict, *MKDIR) == REFUSED

    async def body(boxed: Boxed) -> tuple[int, bytes]:
        result = await boxed.run("echo", "still here")
        files = await boxed.boxes.files(KEY)
        await files.write("/workspace/workspace/note.md", b"kept", append=False)
        read = await files.read("/workspace/workspace/note.md", offset=0, limit=100)
        return result.exits[-1], result.stdout + read.content

    assert within(strict, body) == (0, b"still here\nkept")


def test_it_is_one_agents(strict: Ground) -> None:
    async def body(boxed: Boxed) -> bytes:
        other = BoxKey(TWO, SessionKey("agent:two:cli"))
        return (await boxed.run(*MKDIR, key=other)).stdout

    assert within(strict, body) == MADE[1]


def engine_filter(ground: Ground) -> bytes:
    """The filter that the container's first process was given by the engine."""

    async def body(boxed: Boxed) -> bytes:
        await boxed.boxes.files(KEY)
        made = Engine(daemon.SOCKET).inspect(daemon.containers(ground.home)[0])
        assert made is not None
        found = await asyncio.to_thread(filters_of, int(made["State"]["Pid"]))
        return found[-1]

    return within(ground, body)


def raw_filter(content: bytes) -> bytes:
    """The filter an engine makes of a profile that nobody narrowed."""
    engine = Engine(daemon.SOCKET)
    image = engine.image("bascule-box:bookworm")
    assert image is not None
    words = ["/usr/bin/python3", "-c", "import time; time.sleep(60)"]
    host = {"SecurityOpt": [f"seccomp={content.decode()}"], "NetworkMode": "none", "CapDrop": ["ALL"]}
    body = {"Image": image["Id"], "Cmd": words, "HostConfig": host}
    made, _ = engine.create(f"bascule-test-{uuid.uuid4().hex}", body)
    try:
        engine.start(made)
        found = engine.inspect(made)
        assert found is not None
        return filters_of(int(found["State"]["Pid"]))[-1]
    finally:
        engine.remove(made)


SHAPES = (
    (0,), (1,), (2,), (3,), (10,), (16,), (17,), (38,), (40,), (8,), (0x20000,), (0x20008,), (0xFFFFFFFF,), (0x40000,),
    (NAMESPACE_FLAGS,), *((1 << bit,) for bit in range(32)),
)  # fmt: skip
"""First arguments that filters tell apart: families of sockets, personalities, flags of clone."""


def passed(program: bytes) -> set[tuple[int, tuple[int, ...]]]:
    shapes = [(number, shape) for number in range(600) for shape in SHAPES]
    return {(number, shape) for number, shape in shapes if lets_through(program, number, MACHINE.audit, *shape)}


def test_the_most_generous_profile_lets_nothing_through_that_the_engines_default_refuses(
    plain: Ground, generous: Ground
) -> None:
    default = passed(engine_filter(plain))
    raw = passed(raw_filter(GENEROUS))
    found = passed(engine_filter(generous))
    mount, unshare, bpf = (MACHINE.denied[name] for name in ("mount", "unshare", "bpf"))
    for number in (mount, unshare, bpf):
        assert (number, (0,)) in raw - default  # given to an engine as it is, it would
    assert found - default == set()
    assert len(found) > len(default) * 9 // 10


def test_another_architecture_has_no_calls_at_all(plain: Ground, generous: Ground) -> None:
    foreign = 0x40000003  # AUDIT_ARCH_I386
    assert lets_through(engine_filter(plain), 1, foreign) is (os.uname().machine == "x86_64")
    assert not lets_through(engine_filter(generous), 1, foreign)


CALLS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for number in map(int, sys.argv[1:]):
    ctypes.set_errno(0)
    libc.syscall(number, -1, 0, 0, 0, 0)
    print(number, ctypes.get_errno())
"""


def test_what_ours_forbids_stays_forbidden(generous: Ground) -> None:
    """Changing modes and attributes passes the engine's filter, with the profile and without; ours refuses it."""
    names = ("fchmod", "fsetxattr", "memfd_create", "keyctl", "unshare")
    numbers = [MACHINE.denied[name] for name in names]
    engine = engine_filter(generous)
    assert [lets_through(engine, number, MACHINE.audit) for number in numbers] == [True, True, True, False, False]

    async def body(boxed: Boxed) -> str:
        result: Any = await python(boxed, CALLS, *map(str, numbers))
        return str(result.stdout.decode())

    assert within(generous, body).splitlines() == [f"{number} 1" for number in numbers]


def test_a_filter_that_is_not_the_one_that_was_read_makes_no_container(tmp_path: Path) -> None:
    pins = {ONE: hashlib.sha256(b"another").hexdigest()}
    with grounded(tmp_path / "home", "docker", filters={ONE: WITHOUT_MKDIR}, pins=pins) as ground:

        async def body(boxed: Boxed) -> str:
            await boxed.boxes.files(BoxKey(TWO, SessionKey("agent:two:cli")))
            with pytest.raises(Unavailable) as refused:
                await boxed.run("true")
            return refused.value.code

        assert within(ground, body) == "seccomp_profile_changed"
        assert daemon.containers(ground.home) == []


def test_what_changes_after_the_start_counts_for_the_next_one(tmp_path: Path) -> None:
    with grounded(tmp_path / "home", "docker", filters={ONE: WITHOUT_MKDIR}) as ground:
        assert says(ground, *MKDIR) == REFUSED
        (tmp_path / "one.json").write_bytes(GENEROUS)
        assert says(ground, *MKDIR) == REFUSED


def test_a_profile_that_python_cannot_live_under_is_named_as_the_reason(tmp_path: Path) -> None:
    with grounded(tmp_path / "home", "docker", filters={ONE: profile(["execve", "exit_group"])}) as ground:

        async def body(boxed: Boxed) -> Unavailable:
            with pytest.raises(Unavailable) as refused:
                await boxed.boxes.files(KEY)
            return refused.value

        refused = within(ground, body)
        assert (refused.code, "seccompProfile" in refused.message) == ("container_ended", True)
        assert daemon.containers(ground.home) == []


def test_another_profile_is_another_container(strict: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[list[str], list[str]]:
        await boxed.boxes.files(KEY)
        before = daemon.containers(strict.home)
        rules = docker(boxed)._on.agents[ONE].sandbox
        configure(boxed, docker=replace(rules.docker, seccomp="/etc/calls.json", seccomp_digest="0" * 64))
        await boxed.boxes.files(KEY)
        return before, daemon.containers(strict.home)

    before, after = within(strict, body)
    assert (len(before), len(after), set(before) & set(after)) == (1, 1, set())
