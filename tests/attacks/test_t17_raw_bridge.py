"""T17, the raw bridge: from a container on it, nothing is reached that is not public, and nobody reaches it.

A small internet is made for it (``tests/sandboxes/bridging.py``): every wall has a control, the same try from a
container of the operator's own that stands on the same bridge without our rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.sandboxes.boxed import ONE, TWO, Boxed, Ground, grounded, within
from tests.sandboxes.bridging import (
    ANY_IP,
    CARRIER,
    GATEWAY,
    HOST,
    LATER,
    METADATA,
    NEIGHBOUR,
    PORT,
    SITE,
    Internet,
    inside,
    internet,
    ip,
)
from tests.sandboxes.containing import configure, docker, python
from tests.sandboxes.second_engine import small_root

from bascule.core.confinement import Network
from bascule.core.errors import BasculeError
from bascule.sandboxes.docker.argv import LABEL_HOME
from bascule.sandboxes.docker.wanting import Wanting

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("a raw bridge needs a warden that is root", allow_module_level=True)

PROGRAM = (Path(__file__).parent / "bridged.py").read_text("utf-8")
ROUTED = ANY_IP.replace("0.0/16", "5.5")
INWARD = (HOST, ROUTED, GATEWAY, NEIGHBOUR, METADATA, CARRIER)
RAW = "unsafe_bridge"


@dataclass
class Place:
    net: Internet
    ground: Ground
    stranger: int

    def inside(self, *words: str) -> dict[str, str]:
        """What the attacker's program says in a container of ours."""

        async def body(boxed: Boxed) -> dict[str, str]:
            configure(boxed, network=RAW, **dns())
            found = await python(boxed, PROGRAM, *words, network=Network.ANY)
            assert found.exits == (0,), found.stderr  # type: ignore[attr-defined] # a PipelineResult
            return dict(json.loads(found.stdout))  # type: ignore[attr-defined] # likewise

        return within(self.ground, body)

    def outside(self, *words: str) -> dict[str, str]:
        """What it says in the operator's own container."""
        command = ["/usr/bin/nsenter", "-t", str(self.stranger), "-n", "/usr/bin/python3", "-I", "-S", "-c", PROGRAM]
        done = subprocess.run([*command, *words], check=True, timeout=120, capture_output=True)
        return dict(json.loads(done.stdout))


def of(pid: int) -> int:
    """A descriptor of a process's network, which stays open to the end."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def dns() -> dict[str, object]:
    return {"dns": (SITE,)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("raw")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    root = small_root(folder / "root.tar")
    with internet(folder / "engine", root) as net:
        stranger = net.container()
        with inside(of(stranger)):
            net.counters.open("stranger", "0.0.0.0")
        home = folder / "home"
        with grounded(home, "docker", str(net.engine.socket), bridged=frozenset({ONE})) as ground:
            net.engine.record(home, net.image)
            yield Place(net, ground, stranger)


STRANGER = "172.17.0.2"


def test_a_public_site_is_reached_and_nothing_else(place: Place) -> None:
    before = place.net.counters.total()
    controls = place.outside("knock", SITE, *INWARD)
    assert {said for name, said in controls.items() if name.startswith("tcp")} == {"ok hello from outside"}, controls
    assert place.net.counters.total() == before + len(controls)  # UDP as well, even where the answer gets lost
    assert all(place.net.counters.came[name] for name in ("site", "the machine", "neighbour", "metadata", "carrier"))
    with inside(place.net.machine), socket.create_connection((STRANGER, PORT), 5) as peer:
        assert peer.recv(5) == b"hello"

    inward, site = place.net.counters.total("site"), place.net.counters.came["site"]
    found = place.inside("knock", SITE, *INWARD, STRANGER)
    assert {name: said for name, said in found.items() if SITE in name} == {
        f"tcp {SITE}": "ok hello from outside",
        f"udp {SITE}": "ok hello from outside",
    }
    assert {said for name, said in found.items() if SITE not in name} == {"EHOSTUNREACH", "EPERM"}, found
    assert place.net.counters.total("site") == inward
    assert place.net.counters.came["site"] == site + 2


def test_no_way_leads_past_the_rules(place: Place) -> None:
    before = place.net.counters.total()
    controls = place.outside("sneak", SITE, HOST, NEIGHBOUR)
    through = {name.partition(" to ")[0] for name, said in controls.items() if said.startswith("ok")}
    # The control has every right, so each of these does something there.
    assert through >= {"by device", "by interface", "by mark", "by a packet's interface", "to everybody", "by hand"}
    assert place.net.counters.total() > before

    before = place.net.counters.total()
    found = place.inside("sneak", SITE, *INWARD, STRANGER, "172.17.255.255", "255.255.255.255", "224.0.0.1")
    assert {said for said in found.values() if said.startswith("ok")} == set(), found
    assert place.net.counters.total() == before


def test_it_does_not_fill_the_machines_table_of_connections(place: Place) -> None:
    """The machine remembers each connection that passes it; who begins too many at once is told to wait."""
    assert place.outside("flood", SITE, "1500") == {"ok None": "1500"}
    found = place.inside("flood", SITE, "1500")
    assert int(found["EPERM"]) > 200
    assert int(found["ok None"]) + int(found["EPERM"]) == 1500


def test_a_name_that_leads_inward_leads_nowhere(place: Place) -> None:
    before = place.net.counters.total("site", "names")
    wanted = ("inward.example.org", "metadata.example.org", "bridge.example.org", "itself.example.org")
    found = place.inside("names", "site.example.org", *wanted)
    assert found["site.example.org"] == f"ok {SITE}"
    assert found[f"site.example.org tcp {SITE}"] == "ok hello from outside"
    assert [found[name] for name in wanted] == [f"ok {address}" for address in (NEIGHBOUR, METADATA, GATEWAY, HOST)]
    gone = {said for name, said in found.items() if " " in name and not name.startswith("site")}
    assert gone == {"EHOSTUNREACH", "EPERM"}
    assert place.net.counters.total("site", "names") == before


def test_it_makes_no_socket_but_those_of_a_client(place: Place) -> None:
    found = place.inside("families")
    assert set(found.values()) == {"EAFNOSUPPORT", "EPERM"}, found
    assert {name for name, said in found.items() if said == "EPERM"} == {"bind", "bind udp", "listen", "group"}


def test_it_cannot_undo_the_rules(place: Place) -> None:
    found = place.inside("undo")
    assert not any(said.startswith("ok") for said in found.values()), found
    assert place.inside("knock", NEIGHBOUR) == {f"tcp {NEIGHBOUR}": "EHOSTUNREACH", f"udp {NEIGHBOUR}": "EPERM"}


def test_another_family_leads_nowhere(place: Place) -> None:
    """Rules, not only the filter: tried by root in the container's own network."""
    with inside(place.net.machine):
        for address in ("::1", "fd77::1", "fd77::2"):
            with socket.create_connection((address, PORT), 5) as peer:
                assert peer.recv(5) == b"hello"

    async def body(boxed: Boxed) -> None:
        pid = await standing(place, boxed)
        with inside(of(pid)):
            before = place.net.counters.total()
            for address in (
                "fd77::1",
                "fd77::2",
                "::ffff:10.99.8.7",
                "64:ff9b::a63:807",
                "2002:a63:807::1",
                "fe80::1%2",
            ):
                with pytest.raises(OSError):
                    socket.create_connection((address, PORT), 0.5)
            assert place.net.counters.total() == before

    within(place.ground, body)


async def standing(place: Place, boxed: Boxed) -> int:
    """The first process of the container that stands for the first agent, made if need be."""
    configure(boxed, network=RAW, **dns())
    found = await python(boxed, PROGRAM, "knock", SITE, network=Network.ANY)
    assert b"ok hello" in found.stdout  # type: ignore[attr-defined] # a PipelineResult
    (row,) = [row for row in await boxed.client.containers() if row["agent"] == ONE]
    known = place.net.engine.engine.inspect(str(row["id"]))
    assert known is not None
    return int(known["State"]["Pid"])


def test_nobody_reaches_it(place: Place) -> None:
    async def body(boxed: Boxed) -> None:
        pid = await standing(place, boxed)
        with inside(of(pid)):
            place.net.counters.open("ours", "0.0.0.0")
            address = own_address()
            with socket.create_connection(("127.0.0.1", PORT), 5) as peer:
                assert peer.recv(5) == b"hello"
        before = place.net.counters.total()
        assert place.net.counters.came["ours"] == 1
        networks = (place.net.machine, place.net.world, of(place.stranger))
        for network in networks:
            with inside(network), pytest.raises(OSError):
                socket.create_connection((address, PORT), 0.5)
            with inside(network), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
                made.sendto(b"let me in", (address, PORT))
        assert place.net.counters.total() == before

    for network in (place.net.machine, place.net.world):
        with inside(network), socket.create_connection((STRANGER, PORT), 5) as peer:
            assert peer.recv(5) == b"hello"  # the control: without the rules each of them comes in
    within(place.ground, body)


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect((SITE, 9))
        return str(made.getsockname()[0])


def test_an_address_the_machine_gets_later_is_not_reached_either(place: Place) -> None:
    async def body(boxed: Boxed) -> None:
        pid = await standing(place, boxed)
        first = docker(boxed)._containers[ONE, ""].place
        ours = of(pid)
        ip("addr", "add", f"{LATER}/32", "dev", "wire")
        try:
            with inside(of(place.stranger)), socket.create_connection((LATER, PORT), 5) as peer:
                assert peer.recv(5) == b"hello"
            before = place.net.counters.total("site")
            with inside(ours), pytest.raises(TimeoutError):
                socket.create_connection((LATER, PORT), 0.7)  # it goes there, and no answer comes back
            assert place.net.counters.total("site") == before
            # The next call finds the container's rules out of date, and a new one in its place.
            found = await python(boxed, PROGRAM, "knock", LATER, network=Network.ANY)
            said = json.loads(found.stdout)  # type: ignore[attr-defined] # a PipelineResult
            assert said == {f"tcp {LATER}": "EHOSTUNREACH", f"udp {LATER}": "EPERM"}
            assert docker(boxed)._containers[ONE, ""].place != first
        finally:
            ip("addr", "del", f"{LATER}/32", "dev", "wire")

    within(place.ground, body)


def test_only_whom_policy_named_at_the_start_gets_one(place: Place) -> None:
    """What a gateway says later counts nothing: the warden was told of the first agent alone."""

    async def body(boxed: Boxed) -> list[str]:
        configure(boxed, network=RAW, **dns())
        rules = docker(boxed)._on.agents[ONE]
        said = []
        for agent in (TWO, ONE):
            wanting = Wanting(place.net.image, 0, has_way=False, tools_safe=True)
            request = wanting.request(replace(rules, id=agent), "0" * 32, "0" * 64, ())
            with pytest.raises(BasculeError) as refused:
                await boxed.client.contain(request)
            said.append(refused.value.code)
        return said

    # For the first agent all that lacks is the place its container would connect in.
    assert within(place.ground, body) == ["bridge_refused", "box_source"]


def links() -> set[str]:
    shown = subprocess.run(["ip", "-j", "link"], check=True, capture_output=True, timeout=20).stdout
    return {str(row["ifname"]) for row in json.loads(shown)}


def tables() -> bytes:
    return subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, timeout=20).stdout


def test_nothing_is_left_of_it(place: Place) -> None:
    """The machine has no rule of ours at any time, and its interfaces are as before once the container has ended."""
    before = links(), tables()

    async def body(boxed: Boxed) -> None:
        await standing(place, boxed)
        assert len(links() - before[0]) == 1
        assert tables() == before[1]
        await boxed.boxes.stop(ONE)

    within(place.ground, body)
    assert (links(), tables()) == before


def test_nothing_is_left_of_it_when_the_warden_is_killed(place: Place, tmp_path: Path) -> None:
    before = links(), tables()
    home = tmp_path / "home"
    with grounded(home, "docker", str(place.net.engine.socket), bridged=frozenset({ONE})) as ground:
        place.net.engine.record(home, place.net.image)

        async def body(boxed: Boxed) -> None:
            await standing(place, boxed)
            assert len(links() - before[0]) == 1
            wardens = wardens_of(home)
            assert wardens
            for pid in wardens:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 20
            while place.net.engine.engine.containers({LABEL_HOME: str(home)}) or links() != before[0]:
                assert time.monotonic() < deadline, "the container outlives its warden"
                await asyncio.sleep(0.05)

        within(ground, body)
    assert (links(), tables()) == before


def wardens_of(home: Path) -> list[int]:
    """The processes of a home's warden: its words name both."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"warden.process" in words and str(home).encode() in words:
                found.append(int(pid))
    return found
