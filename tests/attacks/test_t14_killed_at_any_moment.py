"""T14 and T27: the gateway, its warden, or containers' first processes are killed at moments that nobody chose.

Calls of every kind are under way in containers, each at a random part of the time it takes; one kill strikes them all.
Afterwards nothing of them is left, the record holds together, nothing happened twice or unrecorded, and the next call
works. The seed is named where one fails. The control plants leftovers, and what looks for them finds each.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.killing import Aside, client_of, processes_of
from tests.attacks.remains import groups_of, remains, settled
from tests.living import Living, living
from tests.ordinary import until
from tests.sandboxes import daemon

from bascule.ledger.anchor import HEADS_FILE
from bascule.ledger.keys import PUBLIC_FILE, read_public
from bascule.ledger.verify import verify
from bascule.sandboxes.docker.argv import LABEL_AGENT, LABEL_HOME, LABEL_PLACE
from bascule.sandboxes.docker.engine import Engine

pytestmark = [pytest.mark.live, pytest.mark.slow]

KINDS = {"exec": "bruba-main", "write": "bruba-guru", "read": "bruba-manager", "granted": "bruba-rex"}
"""Each kind of call, and who makes it: a container serves one call after another, so each has its own."""

SEED = int(os.environ.get("BASCULE_TEST_SEED") or secrets.randbits(32))
GONE = ("process", "mount", "namespace", "socket", "descriptor")
"""What goes at once; a container that was just being made, and had nothing in it yet, goes at the next start."""
NOTE = '#!/bin/sh\necho "$1" >> workspace/noted\n'
PASSING = ("state/bascule.db-", "state/boxes/", "run/")
"""Files of a home that are there or not as it lives."""
HALF_WRITTEN = re.compile(r"agents/[^/]+/workspace/\.bascule-[0-9a-f]{24}\.tmp")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        tool = made.root(KINDS["exec"]) / "tools" / "note.sh"
        tool.write_text(NOTE)
        tool.chmod(0o755)
        (made.root(KINDS["read"]) / "read.md").write_text("mine")
        (made.root(KINDS["read"]) / "read.md").chmod(0o644)
        writes = '"pattern": "tools/*.sh", "writes": true,'
        made.change("exec-approvals.json", lambda text: text.replace('"pattern": "tools/*.sh",', writes))

    with living(tmp_path_factory.mktemp("t14moment") / "home", prepare, "docker") as made:
        yield made


@pytest.fixture(scope="module")
def outside() -> Iterator[Path]:
    """A file that is written by the operator's leave; elsewhere than in a box's own ``/tmp``."""
    with tempfile.TemporaryDirectory(prefix="bascule-attack-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "outside").touch()
        (Path(folder) / "outside").chmod(0o666)
        yield Path(folder) / "outside"


class Struck:
    """Calls of each kind that are struck together, and all that was ever asked of a house."""

    def __init__(self, house: Living, outside: Path, dice: random.Random) -> None:
        self.house, self.dice = house, dice
        self.takes: dict[str, float] = {}
        self.said: dict[str, Any] = {}
        self.groups: set[str] = set()
        self.files: set[str] = set()
        self.counted = {
            "exec": house.root(KINDS["exec"]) / "workspace" / "noted",
            "write": house.root(KINDS["write"]) / "workspace" / "written",
            "granted": outside,
        }

    def call(self, kind: str) -> tuple[str, Callable[[], Any]]:
        """Make one call ready on a connection of its own; its name is written where its effects are counted."""
        house, agent, name = self.house, KINDS[kind], f"{kind}-{secrets.token_hex(8)}"
        tool, args = {
            "exec": ("exec", {"command": f"tools/note.sh {name}"}),
            "write": ("write", {"path": "workspace/written", "content": f"{name}\n", "append": True}),
            "read": ("read", {"path": "read.md"}),
            "granted": ("write", {"path": str(self.counted["granted"]), "content": f"{name}\n", "append": True}),
        }[kind]
        session = f"agent:{agent}:{name}"
        if kind == "granted":
            asked = house.call(tool, args, agent=agent, session=session)
            house.client.request("approvals_approve", ref=asked["approval"]["id"])
        client = client_of(house.home)
        options = {"session": session, "dry_run": False, "wait": 0.0, "as_operator": False}

        def go() -> Any:
            with client:
                return client.request("call", agent=agent, tool=tool, args_text=json.dumps(args), **options)

        return name, go

    def undisturbed(self, kind: str) -> None:
        """One call that is let be."""
        name, go = self.call(kind)
        began = time.monotonic()
        self.said[name] = go()
        self.takes[kind] = time.monotonic() - began
        assert self.said[name]["outcome"]["ok"], self.said[name]

    def strike(self, aim: Callable[[], list[int]]) -> None:
        """Begin a call of each kind so long before a kill that each is at its own part of its time.

        ``aim`` finds who is killed, as late as it can. In one of two strikes the calls have to make their containers.
        """
        cold = self.dice.random() < 0.5
        for kind in KINDS if cold else (*KINDS, *KINDS):
            self.undisturbed(kind)
        if cold:
            self.house.client.request("sandbox_stop", agent=None, session=None)
        self.groups, self.files = groups_of(self.house), lasting(self.house)
        ago = {kind: self.dice.random() * self.takes[kind] for kind in KINDS}
        ready = {kind: self.call(kind) for kind in KINDS}
        began = time.monotonic()
        aim()
        takes = time.monotonic() - began
        moment = time.monotonic() + takes + max(ago.values())
        going = {}
        for kind in sorted(KINDS, key=lambda kind: -ago[kind]):
            time.sleep(max(0.0, moment - ago[kind] - time.monotonic()))
            going[ready[kind][0]] = Aside(ready[kind][1])
        time.sleep(max(0.0, moment - takes - time.monotonic()))
        kill(aim())
        self.said |= {name: calling.join() for name, calling in going.items()}

    def effects(self) -> Counter[str]:
        """How often each call had its effect."""
        return Counter(line for path in self.counted.values() if path.exists() for line in path.read_text().split())

    def hold_together(self) -> int:
        """See that each call's records, its answer and its effects say the same; return how many are unknown."""
        records, effects = self.house.records(10_000), self.effects()
        assert {name: count for name, count in effects.items() if count != 1} == {}, "something happened twice"
        started = {record["seq"]: named(record) for record in records if record["kind"] == "started"}
        ends = [record for record in records if record["kind"] in {"finished", "unknown"}]
        assert Counter(record["body"]["parent"] for record in ends) == Counter(started.keys()), "not one end for each"
        assert set(effects) <= set(started.values()), "something happened that is not on record"
        done = {named(record) for record in ends if record["kind"] == "finished" and record["body"]["ok"]}
        told = {
            name for name, said in self.said.items() if isinstance(said, dict) and (said["outcome"] or {}).get("ok")
        }
        assert told <= done, "something was told that is not on record"
        assert {name for name in done if not name.startswith("read")} <= set(effects), "something did not happen"
        return sum(record["kind"] == "unknown" for record in ends)


def named(record: dict[str, Any]) -> str:
    return str(record["body"]["session"]).rpartition(":")[2]


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wardens(house: Living) -> list[int]:
    return [pid for pid, words in processes_of(house.home).items() if "warden.process" in words]


def first_processes(house: Living) -> list[int]:
    """The first processes of containers of the home's agents."""
    uids, found = {house.uid(agent) for agent in KINDS.values()}, []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and entry.stat().st_uid in uids:
                inner = next(line for line in (entry / "status").read_text().splitlines() if line.startswith("NSpid"))
                found += [int(entry.name)] if inner.split()[-1] == "1" else []
    return found


@contextmanager
def told(what: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"{what}; again with BASCULE_TEST_SEED={SEED}")
        raise


def verified(house: Living) -> None:
    state = house.home / "state"
    report = verify(
        state / "bascule.db",
        read_public((state / PUBLIC_FILE).read_text()),
        (state / HEADS_FILE).read_text().splitlines() if (state / HEADS_FILE).exists() else [],
    )
    assert report.ok, report.problems


def lasting(house: Living) -> set[str]:
    """Every file of a home but those that come and go, and what a file worker may leave when it is killed in a write."""
    names = (str(path.relative_to(house.home)) for path in house.home.rglob("*"))
    return {name for name in names if not name.startswith(PASSING) and not HALF_WRITTEN.fullmatch(name)}


def groups_left(groups: set[str], house: Living) -> set[str]:
    """Control groups that are there, of processes that had them and of all containers that there ever were."""
    found = {group for group in groups if Path(group).exists()}
    for container in daemon.remembered(house.home):
        found |= {str(path) for path in Path("/sys/fs/cgroup").glob(f"*/docker/{container}")}
    return found


def gone_with(house: Living) -> None:
    """Stop what goes on of a house, if anything does."""
    pid = house.pid
    if Path(f"/proc/{pid}").exists():
        house.stop()
        return
    house.client.close()
    house._client = None


VICTIMS: dict[str, Callable[[Living, random.Random], list[int]]] = {
    "gateway": lambda house, _dice: [house.pid],
    "warden": lambda house, _dice: wardens(house),
    "one process of the warden": lambda house, dice: [dice.choice(wardens(house))],
    "both": lambda house, _dice: [*wardens(house), house.pid],
}


def test_a_new_start_finds_nothing_left_and_repeats_nothing(house: Living, outside: Path) -> None:
    dice = random.Random(f"{SEED} gateway")
    struck = Struck(house, outside, dice)
    for whom in dice.sample(sorted(VICTIMS), len(VICTIMS)):
        with told(f"the strike at the {whom}"):
            struck.strike(lambda whom=whom: VICTIMS[whom](house, dice))
            gone_with(house)
            left = settled(house, GONE)
            assert {kind: left[kind] for kind in GONE if left[kind]} == {}
            verified(house)
            before, groups = struck.effects(), struck.groups
            house.start()
            assert until(lambda: list((house.home / "state" / "boxes").iterdir()) == [])
            assert until(lambda: daemon.containers(house.home) == [])
            assert until(lambda groups=groups: not groups_left(groups, house)), groups_left(groups, house)
            assert struck.effects() == before
            assert lasting(house) == struck.files
            unknown = struck.hold_together()
    for kind in KINDS:
        struck.undisturbed(kind)
    assert unknown, "no call was ever struck"


def test_containers_that_lose_their_first_process_cost_their_calls_alone(house: Living, outside: Path) -> None:
    dice = random.Random(f"{SEED} containers")
    struck = Struck(house, outside, dice)

    def aim() -> list[int]:
        found = first_processes(house)
        return dice.sample(found, dice.randint(1, len(found))) if found else []

    unknown = struck.hold_together()
    for number in range(6):
        with told(f"strike {number} at containers"):
            struck.strike(aim)
            before = struck.effects()
            for kind in KINDS:
                struck.undisturbed(kind)
            assert struck.effects() - before == Counter(dict.fromkeys(struck.effects().keys() - before.keys(), 1))
            assert until(lambda: len(daemon.containers(house.home)) == len(KINDS)), daemon.containers(house.home)
            assert list((house.home / "state" / "boxes").iterdir()) == []
            assert lasting(house) == struck.files
            assert struck.hold_together() == unknown
    verified(house)


def test_what_is_planted_is_found(house: Living) -> None:
    image = Engine(daemon.SOCKET).image("bascule-box:bookworm")
    assert image is not None
    house.stop()
    files, planted = lasting(house), house.home / "agents" / ".bascule-planted.tmp"
    labels = {LABEL_HOME: str(house.home), LABEL_AGENT: KINDS["exec"], LABEL_PLACE: "0" * 32, "bascule.warden": "gone"}
    binds = {"Binds": [f"{house.home}/shared:/mnt:ro"]}
    body = {"Image": image["Id"], "Cmd": ["/usr/bin/sleep", "600"], "Labels": labels, "User": str(house.uid())}
    body |= {"HostConfig": binds}
    with ExitStack() as undo:
        container, _ = Engine(daemon.SOCKET).create(f"bascule-test-left-{os.getpid()}", body)
        undo.callback(Engine(daemon.SOCKET).remove, container)
        Engine(daemon.SOCKET).start(container)
        listening = undo.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(house.home / "s"))
        undo.callback((house.home / "s").unlink)
        planted.touch()
        undo.callback(planted.unlink)
        held = undo.enter_context(subprocess.Popen(["/usr/bin/tail", "-f", str(planted)]))
        undo.callback(held.kill)
        found = remains(house)
        assert {kind for kind in GONE if not found[kind]} == set()
        assert found["container"] == {container}
        assert groups_left(set(), house)
        assert lasting(house) - files == {"agents/.bascule-planted.tmp", "s"}
    house.start()
    assert until(lambda: daemon.containers(house.home) == [])
