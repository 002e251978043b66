"""T07: a tool is planted or changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.attacks.canaries import manifest
from tests.attacks.probing import BACKENDS, WRITING, inside, list_probe, list_program, outside
from tests.living import Living, codes, content, effect, living

pytestmark = pytest.mark.live


def script(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        list_probe(made)
        for program in ("/bin/cp", "/bin/mv", "/usr/bin/tee", "/bin/ln", "/bin/mkdir", "/bin/rm"):
            list_program(made, program, writes=True)
        script(made.root() / "tools" / "show.sh", "shown")

    with living(tmp_path_factory.mktemp("t07") / "home", prepare, request.param) as made:
        made.call("write", {"path": "workspace/evil.sh", "content": "#!/bin/sh\necho planted\n"})
        yield made


def tools(made: Living) -> dict[str, str]:
    return {name: seen for name, seen in manifest(made.home).items() if name.split("/")[2:3] == ["tools"]}


def test_root_could_plant_and_the_agents_own_account_cannot(house: Living, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(house.root(), copy)
    done = outside("plant", cwd=copy)
    assert {name for name, said in done.items() if not said.startswith("ok")} <= {"rename beside", "replace", "list"}
    before = tools(house)
    done = outside("plant", uid=house.uid(), cwd=house.root())
    assert {name for name, said in done.items() if said.startswith("ok")} == set()
    assert tools(house) == before
    assert (house.root() / "workspace").is_dir()


def test_no_tool_and_no_writing_program_plants(house: Living) -> None:
    before = tools(house)
    assert {said for said in inside(house, "plant", tool=WRITING).values() if said.startswith("ok")} == set()
    for tool, args in (
        ("write", {"path": "tools/new.sh", "content": "x"}), ("write", {"path": "tools/show.sh", "content": "x"}),
        ("edit", {"path": "tools/show.sh", "oldText": "shown", "newText": "planted"}),
        ("write", {"path": "workspace/../tools/new.sh", "content": "x"}),
    ):  # fmt: skip
        assert effect(house.call(tool, args)) == "deny"
    for command in (
        "cat workspace/evil.sh > tools/new.sh", "cp workspace/evil.sh tools/new.sh", "tee tools/show.sh", "rm tools/show.sh",
        "mv workspace/evil.sh tools/show.sh", "mv tools workspace/tools", "ln workspace/evil.sh tools/l.sh", "mkdir tools/d",
        "cp -t tools workspace/evil.sh", "cp -r tools workspace/tools",
    ):  # fmt: skip
        report = house.run(command)
        assert effect(report) == "deny" or not report["outcome"]["ok"] or "cp -r" in command, command
    assert tools(house) == before


@pytest.mark.parametrize(
    "word",
    [
        "workspace/evil.sh",
        "./workspace/evil.sh",
        "/workspace/workspace/evil.sh",
        "tools/../workspace/evil.sh",
        "workspace/tools/show.sh",
    ],
)
def test_a_program_that_lies_elsewhere_does_not_run(house: Living, word: str) -> None:
    path = house.root() / "workspace" / "evil.sh"
    path.chmod(0o777)
    assert os.access(path, os.X_OK)
    report = house.run(word)
    assert effect(report) == "deny"
    assert report["outcome"] is None


def given(path: Path, uid: int) -> None:
    os.chown(path, uid, uid)


SPOILED: dict[str, Callable[[Living], None]] = {
    "a tool of the agent's": lambda made: given(made.root() / "tools" / "show.sh", made.uid()),
    "the agent's group may write": lambda made: (
        os.chown(made.root() / "tools" / "show.sh", 0, made.uid()), (made.root() / "tools" / "show.sh").chmod(0o775),
    )[-1],
    "everyone may write": lambda made: (made.root() / "tools" / "show.sh").chmod(0o777),
    "the directory is the agent's": lambda made: given(made.root() / "tools", made.uid()),
    "everyone may write the directory": lambda made: (made.root() / "tools").chmod(0o777),
    "another agent's": lambda made: given(made.root() / "tools" / "show.sh", made.uid("bruba-guru")),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_tools_that_an_agent_could_change_do_not_run_until_they_are_given_back(house: Living, name: str) -> None:
    assert content(house.run("tools/show.sh")) == "shown\n"
    SPOILED[name](house)
    try:
        report = house.run("tools/show.sh")
        assert effect(report) == "deny"
        assert "tools_unsafe" in codes(report)
        assert content(house.run("ls tools")) == ""
        assert effect(house.run("ls workspace")) == "allow"
        probe = house.client.request("sandbox_probe", agent="bruba-main", session=None)
        assert "exec.tools" in {check["id"] for check in probe["checks"]}
    finally:
        for path, mode in ((house.root() / "tools", 0o755), (house.root() / "tools" / "show.sh", 0o755)):
            os.chown(path, 0, 0)
            path.chmod(mode)
    assert content(house.run("tools/show.sh")) == "shown\n"


def test_a_tool_changed_after_the_yes_is_asked_about_again(house: Living) -> None:
    tool = house.root() / "tools" / "once"
    script(tool, "harmless")
    first = house.run("tools/once")
    assert effect(first) == "ask"
    house.client.request("approvals_approve", ref=first["approval"]["id"])
    script(tool, "planted")
    again = house.run("tools/once")
    assert effect(again) == "ask"
    assert again["approval"]["id"] != first["approval"]["id"]
    assert "planted" not in content(again)
    script(tool, "harmless")
    assert content(house.run("tools/once")) == "harmless\n"


def test_a_link_in_tools_leads_to_no_program(house: Living) -> None:
    link = house.root() / "tools" / "linked.sh"
    link.symlink_to("../workspace/evil.sh")
    try:
        assert "planted" in (house.root() / "workspace" / "evil.sh").read_text()
        assert effect(house.run("tools/linked.sh")) == "deny"
    finally:
        link.unlink()
