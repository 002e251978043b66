"""Boxes with a way out, looked at from inside and by who might be reached; every attack first succeeds without a wall."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandboxes.boxed import KEY, LIMITS, ONE, TWO, Boxed, Ground, grounded, within
from tests.sandboxes.listening import Listeners, addresses
from tests.sandboxes.ways import AnsweringWay, descriptors

from bascule.core.box import BoxKey
from bascule.core.confinement import Network
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import cli_session
from bascule.sandboxes.warden.contents import certificates

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("boxes of both modes can be tried by root only", allow_module_level=True)

PYTHON = os.path.realpath("/usr/bin/python3")
NEEDS = (f"/usr/lib/{Path(PYTHON).name}",)
PROXY = Network.PROXY
ASK = (
    "import os, socket, sys\n"
    "host, port = os.environ['http_proxy'].removeprefix('http://').split(':')\n"
    "s = socket.create_connection((host, int(port)), 10)\n"
    "s.sendall(f'{sys.argv[1]} http://example.com/ HTTP/1.1\\r\\n\\r\\n'.encode())\n"
    "while piece := s.recv(4096): sys.stdout.buffer.write(piece); sys.stdout.flush()\n"
)


@pytest.fixture(scope="module", params=["root", "rootless", "docker"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp(request.param) / "home", request.param) as made:
        yield made


def python(code: str, *words: str) -> tuple[str, ...]:
    """Words that run some Python."""
    return (PYTHON, "-I", "-S", "-c", code, *words)


def plain(*argv: str) -> str:
    """The same program without a box: the positive control."""
    done = subprocess.run(argv, capture_output=True, check=True, timeout=60, stdin=subprocess.DEVNULL, text=True)
    return done.stdout


async def asking(boxed: Boxed, *, method: str = "GET", **options: object) -> str:
    found = await boxed.run(*python(ASK, method), needs=NEEDS, network=PROXY, **options)
    return found.stdout.decode() + found.stderr.decode()


def test_a_program_speaks_to_its_agents_proxy_and_is_told_where_it_is(ground: Ground) -> None:
    way = AnsweringWay()
    assert "proxy of one\n" in within(ground, asking, way)
    assert way.asked == [("one", "GET http://example.com/ HTTP/1.1")]
    assert set(way.addresses) == {("127.0.0.1", 3128)}
    assert (way.begun, way.ended) == (1, 1)


def test_a_common_client_finds_the_way_by_itself(ground: Ground) -> None:
    way = AnsweringWay()
    found = within(ground, lambda boxed: boxed.run("curl", "-sS", "http://example.com/", network=PROXY), way)
    assert found.stdout.strip() == b"proxy of one", found
    assert [line.split()[1] for _, line in way.asked] == ["http://example.com/"]


def test_two_agents_reach_their_own_proxy_each(ground: Ground) -> None:
    way = AnsweringWay()
    other = BoxKey(TWO, cli_session(TWO))

    async def body(boxed: Boxed) -> list[str]:
        return list(await asyncio.gather(*(asking(boxed, key=key) for key in (KEY, other, KEY, other))))

    said = within(ground, body, way)
    assert ["one" if "proxy of one\n" in text else "two" * ("proxy of two\n" in text) for text in said] == [
        "one",
        "two",
        "one",
        "two",
    ]
    assert sorted(agent for agent, _ in way.asked) == ["one", "one", "two", "two"]
    assert len(set(way.networks)) == way.begun


REACH = (
    "import json, socket, sys\n"
    "found = {}\n"
    "for family, kind, address in json.loads(sys.argv[1]):\n"
    "    address = address if isinstance(address, str) else tuple(address)\n"
    "    try:\n"
    "        s = socket.socket(family, kind); s.settimeout(3); s.connect(address); s.send(b'leak')\n"
    "        found[f'{family} {kind} {address}'] = 'sent' if kind == 2 else s.recv(100).decode()\n"
    "    except OSError as e: found[f'{family} {kind} {address}'] = str(e.errno)\n"
    "print(json.dumps(found))\n"
)


def test_nothing_of_the_host_is_reached(ground: Ground) -> None:
    assert len(addresses()) > 1, "this machine has loopback only, so this test would show too little"
    way = AnsweringWay()
    with Listeners(ground.root() / "workspace") as listeners:
        found = json.loads(plain(*python(REACH, json.dumps(listeners.targets(str(ground.root() / "workspace"))))))
        assert set(found.values()) == {"reached", "sent"}, found
        assert listeners.settled() == len(found)
        before = listeners.came
        targets = listeners.targets("/workspace/workspace")
        words = python(REACH, json.dumps(targets))
        inside = within(ground, lambda boxed: boxed.run(*words, needs=NEEDS, network=PROXY), way)
        assert listeners.settled() == before
    refused = json.loads(inside.stdout)
    assert len(refused) == len(found)
    # No such route or right (TCP over IPv4), and no such socket at all (everything else).
    tcp = {value for name, value in refused.items() if name.startswith("2 1 ")}
    assert tcp <= {"13", "101", "111"}, refused
    assert {value for name, value in refused.items() if not name.startswith("2 1 ")} == {"97"}
    assert way.asked == []


def test_the_hosts_own_port_of_the_same_number_is_another(ground: Ground, tmp_path: Path) -> None:
    with open("/tmp/bascule-test-3128", "a") as turn, socket.socket() as host:  # one test at a time
        fcntl.flock(turn, fcntl.LOCK_EX)
        host.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host.bind(("127.0.0.1", 3128))
        host.listen()
        host.settimeout(5)
        plain(*python("import socket; socket.create_connection(('127.0.0.1', 3128), 5)"))
        host.accept()[0].close()
        way = AnsweringWay()
        assert "proxy of one\n" in within(ground, asking, way)
        host.settimeout(0)
        with pytest.raises(BlockingIOError):
            host.accept()


TAKE = (
    "import json, os, socket\n"
    "found = []\n"
    "def tried(action):\n"
    "    try: action(); found.append('did')\n"
    "    except OSError as e: found.append(e.errno)\n"
    "made = lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)\n"
    "def taken(port):\n"
    "    s = made(); s.setsockopt(1, 2, 1); s.setsockopt(1, 15, 1); s.bind(('127.0.0.1', port)); s.listen()\n"
    "tried(lambda: taken(0)); tried(lambda: taken(3128)); tried(lambda: made().listen())\n"
    "tried(lambda: made().bind(('0.0.0.0', 0)))\n"
    "print(json.dumps(found), sorted(os.listdir('/proc/self/fd')))\n"
)


def test_nobody_in_the_box_listens_nor_holds_the_listener(ground: Ground) -> None:
    control = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print('did')"
    assert plain(*python(control)) == "did\n"
    way = AnsweringWay()
    found = within(ground, lambda boxed: boxed.run(*python(TAKE), needs=NEEDS, network=PROXY), way)
    # The fourth is the directory that is being listed.
    assert found.stdout.decode() == "[1, 1, 1, 1] ['0', '1', '2', '3']\n"


def test_a_box_changes_nothing_of_its_network(ground: Ground) -> None:
    code = (
        "import ctypes, os\n"
        "places = ['ipv4/ip_forward', 'ipv4/ip_unprivileged_port_start', 'ipv6/conf/all/forwarding', 'core/somaxconn']\n"
        "for place in places:\n"
        "    try: open('/proc/sys/net/' + place, 'w').write('1'); print('changed')\n"
        "    except OSError: pass\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.setns(os.open('/proc/self/ns/net', os.O_RDONLY), 0x40000000), ctypes.get_errno())\n"
        "print(open('/proc/self/status').read().split('CapEff:')[1].split()[0])\n"
        "print([line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:]])\n"
    )
    needs = (*NEEDS, *_extension("_ctypes", ground.mode))
    way = AnsweringWay()
    found = within(ground, lambda boxed: boxed.run(*python(code), needs=needs, network=PROXY), way)
    assert found.stdout.decode() == f"-1 1\n{'0' * 16}\n['lo']\n", found


def _extension(name: str, mode: str) -> tuple[str, ...]:
    library = NEEDS[0] if mode != "docker" else "/usr/lib/python3.11"
    found = sorted(Path(NEEDS[0], "lib-dynload").glob(f"{name}.*"))
    return tuple(f"{library}/lib-dynload/{path.name}" for path in found)


def test_without_a_proxy_in_policy_there_is_no_such_socket(ground: Ground) -> None:
    way = AnsweringWay()
    code = "import os, socket\ntry: socket.socket(); print('made')\nexcept OSError as e: print(e.errno, os.environ)"
    assert plain(*python(code)) == "made\n"
    found = within(ground, lambda boxed: boxed.run(*python(code), needs=NEEDS), way)
    assert found.stdout.startswith(b"97 ")
    assert b"proxy" not in found.stdout.lower()
    assert way.asked == []
    if ground.mode != "docker":
        assert way.begun == 0


@pytest.mark.parametrize(
    ("way", "network", "code"),
    [
        (None, Network.PROXY, "way_closed"),
        (None, Network.ANY, "network_open"),
        (AnsweringWay(), Network.ANY, "network_open"),
        (AnsweringWay(refuses=True), Network.PROXY, "test_refuses"),
    ],
)
def test_where_nobody_answers_nothing_runs(
    ground: Ground, way: AnsweringWay | None, network: Network, code: str
) -> None:
    ran, before = ground.root() / "workspace" / "ran", descriptors()
    with pytest.raises(Unavailable) as refused:
        within(ground, lambda boxed: boxed.run("tee", "workspace/ran", stdin=b"x", writable=True, network=network), way)
    assert refused.value.code == code
    assert not ran.exists()
    assert descriptors() == before
    control = within(ground, lambda boxed: boxed.run("tee", "workspace/ran", stdin=b"x", writable=True))
    assert (control.exits, ran.read_bytes()) == ((0,), b"x")
    ran.unlink()


KNOCK = (
    "import os, socket\n"
    "port = int(os.environ['http_proxy'].rpartition(':')[2])\n"
    "while True:\n"
    "    s = socket.create_connection(('127.0.0.1', port)); s.send(b'knock\\r\\n\\r\\n'); s.recv(100)\n"
)


def test_a_killed_box_takes_its_tunnel_along_and_connects_no_more(ground: Ground) -> None:
    way = AnsweringWay()

    async def body(boxed: Boxed) -> tuple[int, int, int]:
        way.tunnel = asyncio.Event()
        both = boxed.pipe([python(ASK, "CONNECT"), python(KNOCK)], needs=NEEDS, network=PROXY)
        running = asyncio.ensure_future(both)
        await asyncio.wait_for(way.tunnel.wait(), 20)
        while len(way.asked) < 10:
            await asyncio.sleep(0.01)
        cut = way.cut
        await boxed.kill_everything(ONE)
        with contextlib.suppress(BasculeError):
            await running
        seen = len(way.asked)
        await asyncio.sleep(0.2)
        return cut, seen, len(way.asked)

    cut, seen, later = within(ground, body, way)
    assert (cut, later) == (0, seen)
    assert way.begun == way.ended == (1 if ground.mode == "docker" else 2)


def test_descriptors_stay_as_many(ground: Ground) -> None:
    way = AnsweringWay()

    async def body(boxed: Boxed) -> tuple[int, int]:
        await boxed.run("true", network=PROXY)
        before = descriptors()
        for _ in range(50):
            await boxed.run("true", network=PROXY)
        with pytest.raises(BasculeError):
            await boxed.run("true", needs=("/usr/bin/not-there",), network=PROXY)
        with pytest.raises(BasculeError):
            await boxed.pipe([("true",), ("true",)], needs=("/usr/bin/not-there",), network=PROXY)
        brief = type(LIMITS)(LIMITS.memory_bytes, LIMITS.pids, 20, 1, 1 << 16, 1 << 20)
        assert (await boxed.run("sleep", "30", network=PROXY, limits=brief)).timed_out
        await asyncio.sleep(0)
        return before, descriptors()

    before, after = within(ground, body, way)
    assert after == before
    assert way.begun == way.ended


def test_every_program_of_a_pipeline_has_its_own(ground: Ground) -> None:
    way = AnsweringWay()

    async def body(boxed: Boxed) -> bytes:
        commands = [python(ASK, "GET"), ("cat",), ("grep", "-c", "proxy of one")]
        return (await boxed.pipe(commands, needs=NEEDS, network=PROXY)).stdout

    assert within(ground, body, way) == b"1\n"
    assert way.begun == way.ended
    if ground.mode != "docker":
        assert len(set(way.networks)) == 3


def test_certificates_are_there_to_read_and_named(ground: Ground) -> None:
    way = AnsweringWay()
    code = (
        "import os\n"
        "path = os.environ.get('SSL_CERT_FILE', '')\n"
        "print(path, len(open(path, 'rb').read()) if path else '')\n"
        "try: open(path or '/etc/ssl/certs/ca-certificates.crt', 'a')\n"
        "except OSError: print('to read only')\n"
    )

    async def body(boxed: Boxed) -> tuple[str, str]:
        found = await boxed.run(*python(code), needs=NEEDS, network=PROXY, writable=True)
        return found.stdout.decode(), (await boxed.run(*python(code), needs=NEEDS)).stdout.decode()

    with_way, without = within(ground, body, way)
    bundle, source = "/etc/ssl/certs/ca-certificates.crt", certificates()
    if ground.mode == "docker":  # those of its image
        name, size = with_way.splitlines()[0].split()
        assert (name, int(size) > 100_000) == (bundle, True)
    else:
        assert with_way.splitlines()[0] == (f"{bundle} {Path(source).stat().st_size}" if source else " ")
    assert with_way.endswith("\nto read only\n")
    assert without.splitlines()[0] == " "
