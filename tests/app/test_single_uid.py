"""A home without accounts for its agents: refused, or named unsafe by all of them and then loud, with every other wall."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ordinary import Person, fields, ordinary, until

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("only root can become the users of these tests", allow_module_level=True)

WORD = "canary-" + secrets.token_hex(8)
LOUD = "NO ACCOUNT ISOLATION"
AGENTS = '{ id: "main", default: true, name: "Main" }'
UNSAFE = "sandbox: { unsafeSingleUid: true }"


def set_up(person: Person, *sections: str) -> None:
    """Make the home, with one agent for every section."""
    assert person.verb("init").returncode == 0
    others = [f'{{ id: "other{number}", {section} }}' for number, section in enumerate(sections[1:])]
    first = AGENTS.replace(" }", f", {sections[0]} }}") if sections[0] else AGENTS
    path = person.home / "bascule.json5"
    path.write_text(path.read_text().replace(AGENTS, ", ".join([first, *others])))


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with ordinary(tmp_path_factory.mktemp("single") / "person", subordinate=False) as made:
        set_up(made, UNSAFE, UNSAFE)
        started = made.verb("gateway", "start")
        assert started.returncode == 0, started.stderr
        yield made


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (("",), ("gateway", "start")),
        ((UNSAFE, ""), ("gateway", "start")),
        (("sandbox: { allowSingleUid: true }",), ("call", "main", "read", '{"path": "workspace/x"}')),
    ],
)
def test_it_does_not_start_unless_every_agent_is_named_unsafe(
    person: Person, sections: tuple[str, ...], words: tuple[str, ...]
) -> None:
    other = person.beside("refused" + secrets.token_hex(4))
    set_up(other, *sections)
    refused = other.verb(*words)
    assert refused.returncode != 0
    assert "[subuid_missing]" in refused.stderr
    assert "usermod --add-subuids " in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (other.home / "accounts.json").exists()
    assert not (other.home / "state" / "bascule.db").exists()


def test_it_works_under_the_users_own_account(person: Person) -> None:
    assert person.call("write", path="workspace/x.md", content="hello")["outcome"]["ok"]
    assert person.call("exec", command="cat workspace/x.md")["outcome"]["content"] == "hello"
    path = person.home / "agents" / "main" / "workspace" / "x.md"
    assert path.stat().st_uid == person.uid
    assert person.run("/usr/bin/cat", str(path)).stdout == "hello"


def test_everyone_who_looks_is_told(person: Person) -> None:
    status = json.loads(person.verb("status", "--json").stdout)
    assert status["mode"] == "unsafe-single-uid"
    assert [problem["code"] for problem in status["problems"] if LOUD in problem["message"]] == ["single_uid"]
    assert not [problem for problem in status["problems"] if problem["code"].startswith("host.")]
    shown = person.verb("status").stdout, person.verb("gateway", "status").stdout, person.verb("agents", "list").stdout
    for text in (*shown, person.verb("sandbox", "explain", "main").stdout):
        assert LOUD in text
    assert LOUD in (person.home / "logs" / "gateway.log").read_text()
    assert LOUD in person.typed("/quit\n", "chat", "main")


def test_all_other_layers_are_in_force(person: Person) -> None:
    probed = json.loads(person.verb("sandbox", "probe", "main", "--json").stdout)
    short = {check["id"]: check["detail"] for check in probed["checks"] if not check["ok"]}
    assert set(short) - {"sandbox.memory", "sandbox.pids", "sandbox.cpus"} == {"account.shared", "os.groups"}
    assert all(detail.startswith("warn: ") for detail in short.values())
    measured = next(check["detail"] for check in probed["checks"] if check["id"] == "measured")
    assert f"kernel uid {person.uid} (gateway {person.uid}), seccomp 2, capabilities 0x0, no_new_privs 1" in measured
    held = fields(int(json.loads(person.verb("status", "--json").stdout)["pid"]))
    assert {held[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert held["NoNewPrivs"] == "1"


def targets(person: Person) -> list[Path]:
    """Files that the account may read, outside the agent's directory."""
    own = person.folder / "secret"
    key = person.folder / ".ssh" / "id_ed25519"
    other = person.home / "agents" / "other0" / "workspace" / "note.md"
    state = person.home / "state" / "planted"
    for path in (own, key, other, state):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(WORD)
        path.chmod(0o600)
        for made in (path, path.parent):
            os.chown(made, person.uid, person.uid)
    return [own, key, other, state]


SCRIPT = """#!/bin/sh
for path in {paths}; do cat "$path"; done
for path in {places}; do echo planted > "$path/planted"; done
kill -0 {pid} && echo alive
echo done
"""


def tool(person: Person, *, pid: int, places: list[Path]) -> Path:
    """The operator's own script, which turns out to want more than it should."""
    script = person.home / "agents" / "main" / "tools" / "wants.sh"
    paths = [
        *targets(person),
        person.home / "accounts.json",
        person.home / "bascule.json5",
        Path(f"/proc/{pid}/environ"),
    ]
    words = {"paths": paths, "places": places}
    script.write_text(SCRIPT.format(pid=pid, **{name: " ".join(map(str, found)) for name, found in words.items()}))
    script.chmod(0o755)
    os.chown(script, person.uid, person.uid)
    return script


def test_what_the_account_could_reach_a_box_cannot(person: Person) -> None:
    pid = int(json.loads(person.verb("status", "--json").stdout)["pid"])
    root = person.home / "agents" / "main"
    places = [person.folder, person.home, person.home / "state", root, root / "tools", root / "workspace"]
    script = tool(person, pid=pid, places=[*places, Path("/workspace"), Path("/workspace/tools"), Path("/usr")])
    free = person.run(str(script)).stdout
    assert free.count(WORD) == 4
    assert "PATH=" in free
    assert '"gateway"' in free
    assert "alive" in free
    for place in places:
        assert (place / "planted").read_text() == "planted\n"
        (place / "planted").unlink()
    found = person.call("exec", command="tools/wants.sh")
    said = found["outcome"]["content"]
    assert "done" in said
    assert not [word for word in (WORD, "PATH=", '"gateway"', "alive", "unsafeSingleUid") if word in said]
    assert not [place for place in places if (place / "planted").exists()]


def test_accounts_take_over_as_soon_as_there_are_some_and_nothing_goes_back(person: Person) -> None:
    note = person.home / "agents" / "main" / "workspace" / "kept.md"
    assert person.call("write", path="workspace/kept.md", content="kept")["outcome"]["ok"]
    assert person.verb("gateway", "stop").returncode == 0
    assert until(lambda: not person.processes())
    tables = [person.folder / "etc" / name for name in ("subuid", "subgid")]
    for table in tables:
        table.write_text(f"{person.uid}:700000:65536\n")
    try:
        assert json.loads(person.verb("status", "--json").stdout)["mode"] == "rootless"
        assert 700_000 <= note.stat().st_uid < 765_536
        assert person.call("read", path="workspace/kept.md")["outcome"]["content"] == "kept"
    finally:
        for table in tables:
            table.write_text("")
    refused = person.verb("status")
    assert "[uid_range_changed]" in refused.stderr
