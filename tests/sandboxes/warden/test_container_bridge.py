"""A container comes onto the bridge with rules that hold, or not at all: each way in which they might not is tried."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.sandboxes.bridging import NEIGHBOUR, PORT, Internet, inside, internet
from tests.sandboxes.second_engine import small_root

from bascule.core.errors import BasculeError
from bascule.linux import nft
from bascule.linux.host_addresses import own_addresses
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.warden import bridge_rules, container_bridge
from bascule.sandboxes.warden.container_bridge import put_on_bridge

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("networks of one's own can be joined by root only", allow_module_level=True)

Change = Callable[[pytest.MonkeyPatch, Path], None]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    folder = tmp_path_factory.mktemp("bridge")
    with internet(folder / "engine", small_root(folder / "root.tar")) as made:
        yield made


@pytest.fixture
def container(net: Internet) -> Iterator[tuple[str, int]]:
    """A container without a network and its first process."""
    engine = net.engine.engine
    body = {"Image": net.image, "Cmd": ["/usr/bin/sleep", "600"], "HostConfig": {"NetworkMode": "none"}}
    made, _ = engine.create(f"bare-{os.getpid()}", body)
    try:
        engine.start(made)
        found = engine.inspect(made)
        assert found is not None
        yield made, int(found["State"]["Pid"])
    finally:
        engine.remove(made)


def put(engine: Engine, container: str, pid: int) -> str:
    """What a copy of this process says that tries it: ``on it``, or the refusal."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        said = "on it"
        try:
            put_on_bridge(engine, container, os.open(f"/proc/{pid}", os.O_PATH))
        except BasculeError as error:
            said = f"{error.code}: {error.message}"
        finally:
            os.write(tell, said.encode())
            os._exit(0)
    os.close(tell)
    with open(told, encoding="utf-8") as report:
        said = report.read()
    os.waitpid(child, 0)
    return said


def reaches(pid: int, address: str) -> bool:
    """Whether root itself gets an answer from there in a process's network."""
    knock = f"import socket; print(socket.create_connection(({address!r}, {PORT}), 0.5).recv(5))"
    words = ["/usr/bin/nsenter", "-t", str(pid), "-n", "/usr/bin/python3", "-I", "-S", "-c", knock]
    return b"hello" in subprocess.run(words, check=False, capture_output=True, timeout=20).stdout


def links(pid: int) -> list[str]:
    words = ["/usr/bin/nsenter", "-t", str(pid), "-n", "ip", "-j", "link"]
    shown = json.loads(subprocess.run(words, check=True, capture_output=True, timeout=20).stdout)
    return [str(row["ifname"]) for row in shown]


def test_it_comes_onto_the_bridge_and_reaches_what_is_public(net: Internet, container: tuple[str, int]) -> None:
    made, pid = container
    assert put(net.engine.engine, made, pid) == "on it"
    assert links(pid) == ["lo", "eth0"]
    assert reaches(pid, "11.22.33.2")
    assert not reaches(pid, NEIGHBOUR)
    assert reaches(net.container(), NEIGHBOUR)  # the control: on the same bridge without the rules


def false_nft(patch: pytest.MonkeyPatch, folder: Path, lines: str) -> None:
    """Put a program in nft's place that says what it should and does something else."""
    real, false = nft.find(), folder / "nft"
    listing = folder / "listing"
    wanted = bridge_rules.rules((*own_addresses(), "172.17.0.0/16"), 64)
    chains = [
        {"chain": {"name": name, "type": "filter", "hook": name, "prio": 0, "policy": "drop"}} for name in _COUNTS
    ]
    counted = [{"rule": {"chain": name}} for name, count in _COUNTS.items() for _ in range(count)]
    elements = [{"prefix": {"addr": str(network[0]), "len": network.prefixlen}} for network in wanted.inside]
    listing.write_text(json.dumps({"nftables": [*chains, {"set": {"elem": elements}}, *counted]}))
    false.write_text(f"#!/bin/sh\nreal={real}\nlisting={listing}\n{lines}\n")
    false.chmod(0o755)
    patch.setattr(nft, "PLACES", (str(false),))


_COUNTS = {"output": 6, "input": 4, "forward": 0}

WRONG: dict[str, tuple[Change, str]] = {
    "there is none": (lambda patch, _: patch.setattr(nft, "PLACES", ("/nonexistent/nft",)), "nft_missing: "),
    "it fails": (lambda patch, folder: false_nft(patch, folder, "echo Broken >&2; exit 1"), "nft says: Broken"),
    "it does nothing and lies": (
        lambda patch, folder: false_nft(patch, folder, '[ "$1" = -j ] && exec cat $listing; exec cat >/dev/null'),
        "was not refused",
    ),
    "it leaves a network out and lies": (
        lambda patch, folder: false_nft(
            patch, folder, '[ "$1" = -j ] && exec cat $listing; sed "s,10.0.0.0/8,,; s/, ,/,/; s/{ ,/{/" | $real -f -'
        ),
        "was not refused",
    ),
    "it leaves a network out": (
        lambda patch, folder: false_nft(
            patch, folder, '[ "$1" = -j ] && exec $real "$@"; sed "s,10.0.0.0/8,,; s/, ,/,/; s/{ ,/{/" | $real -f -'
        ),
        "other networks are refused than were named",
    ),
    "it lets everything in": (
        lambda patch, folder: false_nft(
            patch, folder, '[ "$1" = -j ] && exec $real "$@"; sed "s/hook input priority 0; policy drop/hook input priority 0; policy accept/" | $real -f -'
        ),
        "the chain input does not drop",
    ),
    "it says what makes no sense": (
        lambda patch, folder: false_nft(patch, folder, '[ "$1" = -j ] && exec echo "{"; exec $real "$@"'),
        "bridge_rules: ",
    ),
    "the bridge is another machine's": (
        lambda patch, _: patch.setattr(container_bridge, "own_addresses", lambda: ("127.0.0.0/8",)),
        "is not this machine",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_where_the_rules_do_not_hold_it_is_refused(
    net: Internet, container: tuple[str, int], what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change, expected = WRONG[what]
    change(monkeypatch, tmp_path)
    said = put(net.engine.engine, *container)
    assert said.startswith(("bridge_rules: ", "nft_missing: "))
    assert expected in said


def test_a_network_that_holds_anything_already_is_refused(net: Internet, container: tuple[str, int]) -> None:
    made, pid = container
    with inside(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)):
        subprocess.run(["ip", "link", "add", "one", "type", "veth"], check=True, timeout=20)
    assert "holds lo, " in put(net.engine.engine, made, pid)


def test_our_own_network_is_refused(net: Internet, container: tuple[str, int]) -> None:
    assert "the machine's own network" in put(net.engine.engine, container[0], os.getpid())


class Bridgeless(Engine):
    """An engine that was started with ``--bridge=none``."""

    def network(self, name: str) -> None:
        return None


def test_an_engine_without_a_bridge_is_refused_by_name(net: Internet, container: tuple[str, int]) -> None:
    made, pid = container
    assert put(Bridgeless(str(net.engine.socket)), made, pid).startswith("bridge_missing: ")
    assert links(pid) == ["lo"]
