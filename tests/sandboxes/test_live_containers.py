"""Containers as they live and die: reused, replaced, swept, refused; every attack first succeeds without the wall."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.ordinary import until
from tests.sandboxes import daemon
from tests.sandboxes.boxed import KEY, LIMITS, ONE, TWO, Boxed, Ground, grounded, within
from tests.sandboxes.containing import configure, docker, python

from bascule.core.box import BoxKey
from bascule.core.confinement import Mount
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import SessionKey
from bascule.sandboxes.docker.engine import Engine

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("containers can be tried by root only", allow_module_level=True)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp("docker") / "home", "docker") as made:
        note = made.root() / "notes.md"
        note.write_text("needle\n")
        note.chmod(0o644)
        yield made
    assert daemon.containers(made.home) == []


def test_one_container_serves_every_session_and_is_used_again(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[list[str], list[str], list[str]]:
        await boxed.run("grep", "-c", "needle", "notes.md")
        first = daemon.containers(ground.home)
        await boxed.run("grep", "-c", "needle", "notes.md", key=BoxKey(ONE, SessionKey("agent:one:other")))
        await boxed.boxes.files(KEY)
        second = daemon.containers(ground.home)
        await boxed.boxes.files(BoxKey(TWO, SessionKey("agent:two:cli")))
        return first, second, daemon.containers(ground.home)

    first, second, third = within(ground, body)
    assert len(first) == 1
    assert (second, len(third), set(first) < set(third)) == (first, 2, True)
    assert daemon.containers(ground.home) == []


def test_a_session_may_have_its_own(ground: Ground) -> None:
    async def body(boxed: Boxed) -> int:
        configure(boxed, per_session=True)
        for name in ("a", "b"):
            await boxed.boxes.files(BoxKey(ONE, SessionKey(f"agent:one:{name}")))
        return len(daemon.containers(ground.home))

    assert within(ground, body) == 2


@pytest.mark.parametrize(
    "change", [{"workspace_access": "ro"}, {"limits": replace(LIMITS, cpus=500)}, {"limits": replace(LIMITS, pids=20)}]
)
def test_another_configuration_is_another_container(ground: Ground, change: dict[str, object]) -> None:
    async def body(boxed: Boxed) -> tuple[list[str], list[str], list[str]]:
        await boxed.boxes.files(KEY)
        before = daemon.containers(ground.home)
        configure(boxed, **change)
        await boxed.boxes.files(KEY)
        between = daemon.containers(ground.home)
        await boxed.boxes.files(KEY)
        return before, between, daemon.containers(ground.home)

    before, between, after = within(ground, body)
    assert (len(before), len(between), set(before) & set(between)) == (1, 1, set())
    assert after == between


def test_what_is_not_used_is_let_go(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[int, int]:
        await boxed.boxes.files(KEY)
        await docker(boxed).prune()
        kept = len(daemon.containers(ground.home))
        configure(boxed, idle_seconds=1)
        docker(boxed)._containers[ONE, ""].used -= 2
        await docker(boxed).prune()
        return kept, len(daemon.containers(ground.home))

    assert within(ground, body) == (1, 0)


def test_a_granted_path_is_in_a_container_of_its_own_for_one_call(ground: Ground) -> None:
    outside = "/usr/lib/os-release"

    async def body(boxed: Boxed) -> tuple[bytes, bytes, list[str], list[str]]:
        await boxed.run("true")
        before = daemon.containers(ground.home)
        granted = await boxed.run("cat", outside, mounts=(Mount(outside),))
        once = await boxed.boxes.files(KEY, (Mount(outside),))
        read = await once.read(outside, offset=0, limit=1 << 16)
        with pytest.raises(Unavailable):
            await once.read(outside, offset=0, limit=1 << 16)
        return granted.stdout, read.content, before, daemon.containers(ground.home)

    granted, read, before, after = within(ground, body)
    assert granted == read == Path(outside).read_bytes()
    assert after == before


@pytest.mark.parametrize(("image", "code"), [("never-built:1", "image_unknown"), ("bascule-box:gone", "image_missing")])
def test_only_recorded_images_that_are_there_are_used(ground: Ground, image: str, code: str) -> None:
    path = ground.home / "images.json"
    written = path.read_text()
    body_of = json.loads(written)
    gone = {"id": "sha256:" + "0" * 64, "source": "", "packages": []}

    async def body(boxed: Boxed) -> str:
        configure(boxed, image=image)
        with pytest.raises(BasculeError) as refused:
            await boxed.boxes.files(KEY)
        return refused.value.code

    try:
        path.write_text(json.dumps(body_of | {"bascule-box:gone": gone}))
        assert within(ground, body) == code
    finally:
        path.write_text(written)


def test_orphans_are_swept_when_the_next_container_is_made(ground: Ground) -> None:
    found = Engine(daemon.SOCKET).image("bascule-box:bookworm")
    assert found is not None
    labels = {"bascule.home": str(ground.home), "bascule.warden": "gone"}
    left, _ = Engine(daemon.SOCKET).create(
        "bascule-test-orphan", {"Image": found["Id"], "Cmd": ["/usr/bin/sleep", "1000"], "Labels": labels}
    )
    other, _ = Engine(daemon.SOCKET).create(
        "bascule-test-stranger", {"Image": found["Id"], "Cmd": ["/usr/bin/sleep", "1000"], "Labels": {"x": "y"}}
    )

    async def body(boxed: Boxed) -> tuple[list[bool], list[bool]]:
        before = [box.is_orphan for box in await boxed.boxes.standing()]
        await boxed.boxes.files(KEY)
        return before, [box.is_orphan for box in await boxed.boxes.standing()]

    try:
        assert within(ground, body) == ([True], [False])
        assert left not in daemon.containers(ground.home)
        assert Engine(daemon.SOCKET).inspect(other) is not None
    finally:
        for container in (left, other):
            Engine(daemon.SOCKET).remove(container)


def test_a_killed_gateway_ends_its_containers(tmp_path: Path) -> None:
    with grounded(tmp_path / "home", "docker") as made:

        async def body(boxed: Boxed) -> None:
            await boxed.boxes.files(KEY)
            assert len(daemon.containers(made.home)) == 1
            for container in docker(boxed)._containers.values():  # what the kernel does when a process is killed
                assert container.files is not None
                container.files.close()
                container.line.close()
            docker(boxed)._containers.clear()

        within(made, body)
        assert until(lambda: daemon.containers(made.home) == [])


# -- what one call leaves for the next

LEAVE = """
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
word, said = sys.argv[1], {}
def tried(name, action):
    try: said[name] = action()
    except Exception as error: said[name] = type(error).__name__
def checked(number):
    if number < 0: raise OSError(ctypes.get_errno(), 'no')
    return 'made'
tried('file', lambda: open('/tmp/' + word, 'w').write('x'))
tried('deep', lambda: [os.mkdir('/dev/shm/' + 'd/' * n + 'd') for n in range(40)] and 'made')
tried('shm', lambda: checked(libc.shmget(4711, 4096, 0o1666)))
tried('msg', lambda: checked(libc.msgget(4711, 0o1666)))
tried('sem', lambda: checked(libc.semget(4711, 1, 0o1666)))
tried('mq', lambda: checked(libc.mq_open(b'/' + word.encode(), os.O_CREAT | os.O_RDWR, 0o666, None)))
pid = os.fork()
if pid == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    for number in range(3): os.close(number)
    time.sleep(600); os._exit(0)
os.waitpid(pid, 0)
print(said)
"""


LOOK = """
import os
print(sorted(os.listdir('/tmp')), os.listdir('/dev/shm'), len([n for n in os.listdir('/proc') if n.isdigit()]))
"""


def test_the_next_call_finds_nothing_of_the_last(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[bytes, bytes, bytes]:
        empty = await python(boxed, LOOK)
        left = await python(boxed, LEAVE, f"w{os.getpid()}")
        found = await python(boxed, LOOK)
        return empty.stdout, left.stdout + left.stderr, found.stdout

    empty, left, found = within(ground, body)
    assert b"'file': 1" in left
    assert b"'deep': 'made'" in left
    for name in (b"shm", b"msg", b"sem", b"mq"):
        assert b"'%s': 'PermissionError'" % name in left
    assert found == empty
    assert empty


DEEP = "import os\nos.chdir('/tmp')\nfor n in range(4000): os.mkdir('d'); os.chdir('d')\nprint('made')"


def test_what_cannot_be_cleared_costs_the_container(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[bytes, set[str], set[str], bytes]:
        await boxed.run("true")
        before = set(daemon.containers(ground.home))
        deep = await python(boxed, DEEP)
        found = await python(boxed, LOOK)
        return deep.stdout, before, set(daemon.containers(ground.home)), found.stdout

    deep, before, after, found = within(ground, body)
    assert deep == b"made\n"
    assert len(after) == 1
    assert b"'d'" not in found
    assert before.isdisjoint(after)


def test_a_program_can_neither_kill_nor_stop_nor_read_those_beside_it(ground: Ground) -> None:
    code = (
        "import os, signal\n"
        "for pid in sorted(int(n) for n in os.listdir('/proc') if n.isdigit() and int(n) != os.getpid()):\n"
        "    for action in (lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGKILL),\n"
        "                   lambda: os.listdir(f'/proc/{pid}/fd'), lambda: open(f'/proc/{pid}/environ').read() or 1/0,\n"
        "                   lambda: open(f'/proc/{pid}/mem', 'rb')):\n"
        "        try: action(); print('did', pid)\n"
        "        except Exception: pass\n"
    )

    async def body(boxed: Boxed) -> tuple[bytes, bool]:
        files = await boxed.boxes.files(KEY)
        said = await python(boxed, code)
        read = await files.read("/workspace/notes.md", offset=0, limit=100)
        return said.stdout, read.content == b"needle\n" and await boxed.boxes.files(KEY) is files

    said, alive = within(ground, body)
    # The first process of a namespace ignores what is sent from within it; sending is then no error.
    assert [line for line in said.splitlines() if line != b"did 1"] == []
    assert alive


def test_no_engine_and_no_line_is_in_reach(ground: Ground) -> None:
    code = (
        "import os, sys\n"
        "for place in sys.argv[1:]:\n"
        "    try: print('saw', os.listdir(place) if os.path.isdir(place) else open(place).read(1))\n"
        "    except OSError: pass\n"
    )
    places = ("/run/docker.sock", "/var/run/docker.sock", daemon.SOCKET, "/run/bascule", "/run/bascule/line", "/canary")
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(daemon.SOCKET)
    found = within(ground, lambda boxed: python(boxed, code, *places))
    assert (found.exits, found.stdout) == ((0,), b"")


def test_tools_run_only_as_listed_and_are_never_written(ground: Ground) -> None:
    for name in ("one.sh", "two.sh"):
        path = ground.root() / "tools" / name
        path.write_text(f'#!/bin/sh\necho {name}\n[ -z "$1" ] || exec "$1"\n')
        path.chmod(0o755)
    first, second = (str(ground.root() / "tools" / name) for name in ("one.sh", "two.sh"))
    assert subprocess.run([first, second], capture_output=True, check=True).stdout == b"one.sh\ntwo.sh\n"
    alone = within(ground, lambda boxed: boxed.run(first, "/workspace/tools/two.sh", needs=("/bin/sh",)))
    assert (alone.stdout, b"Permission denied" in alone.stderr) == (b"one.sh\n", True)
    both = within(
        ground, lambda boxed: boxed.run(first, "/workspace/tools/two.sh", needs=("/bin/sh", "/workspace/tools/two.sh"))
    )
    assert both.stdout == b"one.sh\ntwo.sh\n"


def test_two_calls_wait_for_each_other(ground: Ground) -> None:
    code = "import os, time\nopen('/tmp/here', 'x'); time.sleep(0.2); print('here' in os.listdir('/tmp'), len(os.listdir('/tmp')))"

    async def body(boxed: Boxed) -> list[bytes]:
        await boxed.run("true")
        found = await asyncio.gather(*(python(boxed, code) for _ in range(3)))
        return [each.stdout for each in found]

    found = within(ground, body)
    assert found[0].startswith(b"True ")
    assert found == [found[0]] * 3  # none found another's file in its way
