"""The whole product as root and as an ordinary user: it works, holds no right it does not need, and leaves nothing."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.living import living
from tests.ordinary import NAME, Person, fields, ordinary, until

from bascule.app import start
from bascule.host.accounts import Range, subordinate_range

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("only root can become the users of these tests", allow_module_level=True)

HELD = ("CapInh", "CapPrm", "CapEff", "CapAmb")
NOTE = {"path": "workspace/note.md", "content": "needle"}


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with ordinary(tmp_path_factory.mktemp("ordinary") / "person") as made:
        assert made.verb("init").returncode == 0
        started = made.verb("gateway", "start")
        assert started.returncode == 0, started.stderr
        yield made


def gateway(person: Person) -> int:
    return int(json.loads(person.verb("status", "--json").stdout)["pid"])


def ids(found: dict[str, str], name: str) -> set[int]:
    return {int(word) for word in found[name].split()}


def naming(home: Path) -> list[set[int]]:
    """Uids of every process that names the home: verbs, gateway and warden."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(home).encode() in (entry / "cmdline").read_bytes():
                found.append(ids(fields(int(entry.name)), "Uid"))
    return found


def test_an_ordinary_user_writes_reads_runs_and_is_asked(person: Person) -> None:
    assert person.call("write", **NOTE)["outcome"]["ok"]
    assert person.call("read", path=NOTE["path"])["outcome"]["content"] == NOTE["content"]
    assert person.call("exec", command="grep -c needle workspace/note.md")["outcome"]["content"].strip() == "1"
    asked = person.call("exec", command="sort workspace/note.md")
    assert (asked["decision"]["effect"], asked["outcome"]) == ("ask", None)
    assert person.verb("approvals", "approve", asked["approval"]["id"]).returncode == 0
    assert person.call("exec", command="sort workspace/note.md")["outcome"]["content"] == NOTE["content"] + "\n"


def test_what_an_agent_writes_is_its_own_and_its_operators_to_read_and_change(person: Person) -> None:
    path = person.home / "agents" / "main" / NOTE["path"]
    person.call("write", **NOTE)
    table = json.loads((person.home / "accounts.json").read_text())
    assert path.stat().st_uid == table["agents"]["main"] != person.uid
    assert person.first <= table["base"] < person.first + 65_536
    assert person.run("/usr/bin/cat", str(path)).stdout == NOTE["content"]
    changed = person.run("/bin/sh", "-c", f"echo changed > {path}")
    assert changed.returncode == 0, changed.stderr
    assert person.call("read", path=NOTE["path"])["outcome"]["content"] == "changed\n"


def test_no_process_of_an_ordinary_user_is_root_and_the_gateway_holds_nothing(person: Person) -> None:
    found = fields(gateway(person))
    assert ids(found, "Uid") == ids(found, "Gid") == {person.uid}
    assert {int(found[name], 16) for name in HELD} == {0}
    assert found["NoNewPrivs"] == "1"
    assert person.processes()
    assert set().union(*naming(person.home)) == {person.uid}


def test_root_is_not_what_the_gateway_runs_as_and_no_right_can_come_back(tmp_path: Path) -> None:
    with living(tmp_path / "home") as made:
        found, account = fields(made.pid), made.accounts()["gateway"]
        assert ids(found, "Uid") == ids(found, "Gid") == {account}
        assert account not in {0, *made.accounts()["agents"].values()}
        assert {int(found[name], 16) for name in (*HELD, "CapBnd")} == {0}
        assert (found["NoNewPrivs"], found["Groups"]) == ("1", "")


def test_two_homes_of_a_user_give_out_different_uids(person: Person) -> None:
    row = f"{NAME}:{person.first}:65536\n"

    def slice_of(home: Path) -> Range:
        return subordinate_range(str(home), NAME, person.uid, row, row)

    others = (person.beside(f"more{number}") for number in range(100))
    other = next(other for other in others if slice_of(other.home) != slice_of(person.home))
    assert other.verb("init").returncode == 0
    assert other.call("write", **NOTE)["outcome"]["ok"]
    uids = [json.loads((one.home / "accounts.json").read_text())["agents"]["main"] for one in (person, other)]
    assert uids == [slice_of(person.home).first, slice_of(other.home).first]
    assert (other.home / "agents" / "main" / NOTE["path"]).stat().st_uid == uids[1]


def test_where_user_namespaces_are_forbidden_the_setting_is_named(person: Person) -> None:
    other = person.beside("forbidden")
    assert other.verb("init").returncode == 0
    assert person.run("/usr/bin/unshare", "--user", "/usr/bin/true").returncode == 0
    assert person.run("/usr/bin/unshare", "--user", "/usr/bin/true", namespaces=False).returncode != 0
    refused = other.verb("gateway", "start", namespaces=False)
    assert refused.returncode != 0
    said = refused.stderr.strip()
    assert "user.max_user_namespaces is 0" in said
    assert "sysctl -w user.max_user_namespaces=" in said
    assert "\n" not in said
    assert not (other.home / "run" / "control.sock").exists()


def test_after_the_stop_nothing_is_left(person: Person) -> None:
    person.call("read", path=NOTE["path"])
    pid = gateway(person)
    assert person.verb("gateway", "stop").returncode == 0
    assert until(lambda: not person.processes())
    assert not Path(f"/proc/{pid}").exists()
    assert not (person.home / "run" / "control.sock").exists()
    assert str(person.home) not in Path("/proc/self/mountinfo").read_text()


def test_the_warden_is_seen_out() -> None:
    """It is told to end, what it still says is taken, and the wait is over when it is gone."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    done: list[str] = []

    def ends() -> None:
        assert theirs.recv(1) == b""
        for _ in range(3):
            theirs.send(b"a box ended")
        done.append("cleared up")
        theirs.close()

    warden = threading.Thread(target=ends)
    warden.start()
    with ours:
        start._see_out(ours)
        assert done == ["cleared up"]
    warden.join()
