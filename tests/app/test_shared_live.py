"""Shared directories across the whole gate, in both backends: either spelling is taken, the operator's is shown."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import permutations

import pytest
from tests.living import MAIN, Living, codes, content, effect, living

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("accounts of agents' own need root", allow_module_level=True)

GURU, REX = "bruba-guru", "bruba-rex"
BINDS = {
    MAIN: ["shared/packets:/workspaces/shared/packets:rw", "shared/repo:/workspaces/shared/repo:ro"],
    GURU: ["shared/packets:/workspaces/shared/packets:rw"],
    REX: ["shared/packets:/workspaces/shared/packets:ro"],
}


def _lend(made: Living) -> None:
    def edit(text: str) -> str:
        for agent, binds in BINDS.items():
            at = f'id: "{agent}",'
            assert text.count(at) == 1
            sandbox = {"docker": {"binds": binds}}
            text = text.replace(at, f"{at} sandbox: {json.dumps(sandbox)},")
        rows = [{"from": one, "to": two, "send": "allow"} for one, two in permutations(BINDS, 2)]
        return text.replace("\n  agents: {", f"\n  peers: {json.dumps(rows)},\n  agents: {{", 1)

    made.change("bascule.json5", edit)

    def approve(text: str) -> str:
        body = json.loads(text)
        for agent in BINDS:
            body["agents"].setdefault(agent, {}).setdefault("allowlist", []).append(
                {"pattern": "/usr/bin/cp", "writes": True}
            )
        return json.dumps(body)

    made.change("exec-approvals.json", approve)


@pytest.fixture(scope="module", params=["bubblewrap", "docker"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    place = tmp_path_factory.mktemp(request.param)
    place.chmod(0o755)
    with living(place / "home", _lend, request.param) as made:
        (made.home / "shared" / "repo" / "code.md").write_text("needle\n")
        yield made


def spellings(house: Living, path: str) -> tuple[str, str]:
    return f"/workspaces/{path}", f"{house.home}/{path}"


def test_every_tool_takes_either_spelling_and_shows_the_operators(house: Living) -> None:
    for number, path in enumerate(spellings(house, "shared/packets/a.md")):
        host = f"{house.home}/shared/packets/a.md"
        wrote = house.call("write", {"path": path, "content": f"needle {number}\n"})
        assert f"to {host} " in content(wrote)
        edited = house.call("edit", {"path": path, "oldText": "needle", "newText": "thread"})
        assert f"edited {host} " in content(edited)
        read = house.call("read", {"path": path})
        assert content(read) == f"thread {number}\n"
        assert f"file:{host}" in read["outcome"]["label"]["sources"]
        assert content(house.run(f"grep -c thread {path}")) == "1\n"
        assert content(house.run(f"grep -c thread < {path}")) == "1\n"
        assert effect(house.run(f"grep thread {path} > {path}.found")) == "allow"
        assert content(house.run(f"cat {path}.found")) == f"thread {number}\n"
        assert f"{path}.found" in content(house.run(f"ls {path.removesuffix('a.md')}*.found"))


def test_one_agent_finds_what_another_left_and_may_do_what_its_line_says(house: Living) -> None:
    packet, host = spellings(house, "shared/packets/for-guru.md")
    assert effect(house.call("write", {"path": packet, "content": "from main\n"})) == "allow"
    assert content(house.call("read", {"path": host}, agent=GURU)) == "from main\n"
    assert f"edited {host} " in content(
        house.call("edit", {"path": host, "oldText": "from main", "newText": "read"}, agent=GURU)
    )
    assert content(house.call("read", {"path": packet}, agent=REX)) == "read\n"
    refused = house.call("write", {"path": packet, "content": "x"}, agent=REX)
    assert (effect(refused), codes(refused)) == ("deny", {"path_bind_read_only"})
    assert codes(house.run(f"cp {packet} {packet}.copy", agent=REX)) == {"path_bind_read_only"}
    assert house.run(f"cp {packet} {packet}.copy", agent=GURU)["outcome"]["exit"] == 0
    assert (house.home / "shared" / "packets" / "for-guru.md").read_text() == "read\n"
    assert (house.home / "shared" / "packets" / "for-guru.md.copy").read_text() == "read\n"


@pytest.mark.parametrize("path", ["/workspaces/shared/repo/code.md", "{home}/shared/repo/code.md"])
def test_the_repository_is_read_by_whom_it_is_lent_and_written_by_nobody(house: Living, path: str) -> None:
    named = path.format(home=house.home)
    assert content(house.call("read", {"path": named})) == "needle\n"
    assert codes(house.call("write", {"path": named, "content": "x"})) == {"path_bind_read_only"}
    refused = house.call("read", {"path": named}, agent=GURU)
    assert codes(refused) == {"path_not_bound"}
    assert f"{house.home}/shared/repo/code.md" in json.dumps(refused["decision"])
    assert codes(house.run(f"cat {named}", agent=GURU)) == {"path_not_bound"}


def test_no_interpreter_runs_what_another_agent_may_change(house: Living) -> None:
    script = "#!/bin/sh\necho said\n"
    for path in ("workspace/say.sh", "/workspaces/shared/packets/say.sh"):
        assert effect(house.call("write", {"path": path, "content": script})) == "allow"
    (house.home / "shared" / "repo" / "say.sh").write_text(script)
    packets = spellings(house, "shared/packets/say.sh")
    for path in ("workspace/say.sh", "/workspaces/shared/repo/say.sh"):
        assert effect(house.run(f"sh {path}")) == "ask", path
    for path in packets:
        for command in (f"sh {path}", f"sh < {path}"):
            assert (effect(house.run(command)), codes(house.run(command))) == ("deny", {"exec_script_lent"}), command


def test_errors_and_records_show_the_operators_path(house: Living) -> None:
    missing = house.call("read", {"path": "/workspaces/shared/packets/none.md"})
    assert f"{house.home}/shared/packets/none.md" in json.dumps(missing)
    decided = [record for record in house.records(20) if record["kind"] == "decided"]
    assert any(f"{house.home}/shared/packets/none.md" in json.dumps(record) for record in decided)
