"""T03: a symbolic link leads outside. Every link is first followed by a reader that does not look."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.attacks.canaries import NAMES, WORD, Canary, canaries, manifest, plant
from tests.attacks.probing import list_program
from tests.living import Living, content, living

pytestmark = pytest.mark.live

House = tuple[Living, Mapping[str, Canary]]

LINES = [
    "cat {}", "tools/show.sh {}", "cat < {}", "head {}", "tail {}", "grep -a '' {}", "wc -c {}", "ls -lL {}", "cat {folder}/*",
]  # fmt: skip
FOLLOWING = [
    "grep -raR '' workspace",
    "find -L workspace -type f",
    "find workspace -follow -name '*.md'",
    "cat workspace/*",
]
IN_FULL = ("another agent", "policy", "root's own")
"""Targets to which every line is tried; the rest get the first three."""

WRITES = ["cat memory/x.md > {}", "cat memory/x.md >> {}", "cp memory/x.md {}", "tee {}", "truncate -s 0 {}"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    def prepare(made: Living) -> None:
        plant(made)
        script = made.root() / "tools" / "show.sh"
        script.write_text('#!/bin/sh\ncat "$@"\n')
        script.chmod(0o755)
        for path in ("/bin/cp", "/usr/bin/tee", "/usr/bin/truncate"):
            list_program(made, path, writes=True)

    with living(tmp_path_factory.mktemp("t03") / "home", prepare) as made, canaries(made) as known:
        made.call("write", {"path": "memory/x.md", "content": "mine"})
        yield made, known


@pytest.fixture(autouse=True)
def tidy(house: House) -> Iterator[None]:
    yield
    for entry in (house[0].root() / "workspace").iterdir():
        entry.unlink()


def links(made: Living, target: Path) -> dict[str, str]:
    """Make every kind of link to a file, as the agent's account could; return the names that then mean it."""
    place = made.root() / "workspace"
    relative = os.path.relpath(target, place)
    wanted = {
        "final": (str(target), ""), "folder": (str(target.parent), f"/{target.name}"), "relative": (relative, ""),
        "root": ("/", str(target)), "proc": (f"/proc/self/root{target}", ""), "cwd": ("/proc/self/cwd", f"/{relative}"),
        "up": ("../" * 15, str(target)),
    }  # fmt: skip
    for name, (leads, _) in wanted.items():
        os.symlink(leads, place / name)
    os.symlink("final", place / "chain")
    return {name: f"workspace/{name}{rest}" for name, (_, rest) in wanted.items()} | {"chain": "workspace/chain"}


@pytest.mark.parametrize("name", NAMES)
def test_a_link_leads_a_careless_reader_out_and_no_tool(house: House, name: str) -> None:
    made, known = house[0], house[1][name]
    before = manifest(made.home, made.root() / "workspace")
    lines = (*LINES, *WRITES) if name in IN_FULL else LINES[:3]
    for kind, link in links(made, known.path).items():
        if kind != "cwd":  # which is the reader's own
            assert known.word in (made.root() / link).read_bytes().decode("latin-1"), kind
        calls = [("read", {"path": link}), ("write", {"path": link, "content": "x"})]
        calls += [("edit", {"path": link, "oldText": known.word, "newText": "x"})]
        calls += [("exec", {"command": line.format(link, folder=str(Path(link).parent))}) for line in lines]
        for tool, args in calls:
            report = made.call(tool, args)
            assert known.word not in content(report), args
            assert tool == "exec" or not report["outcome"] or not report["outcome"]["ok"], args
    for line in FOLLOWING if name in IN_FULL else ():
        assert known.word not in content(made.call("exec", {"command": line, "timeout": 1}))
    assert known.word in known.path.read_bytes().decode("latin-1")
    own = set(manifest(made.home)) - set(before)
    assert {path.split("/")[3] for path in own} <= {"root", "final", "folder", "relative", "proc", "cwd", "up", "chain"}
    assert {key: value for key, value in manifest(made.home).items() if key in before} == before


@pytest.mark.parametrize(
    "leads", ["/workspace/memory/x.md", "../memory/x.md", "/workspace/tools/show.sh", "/canary", "/proc/self/environ"]
)
def test_the_file_tools_follow_no_link_even_inside_the_box(house: House, leads: str) -> None:
    made = house[0]
    os.symlink(leads, made.root() / "workspace" / "inner")
    for tool, args in (("read", {}), ("write", {"content": "x"}), ("edit", {"oldText": "mine", "newText": "x"})):
        report = made.call(tool, {"path": "workspace/inner", **args})
        assert not (report["outcome"] and report["outcome"]["ok"])
        assert "symbolic link" in json.dumps(report)
    assert content(made.call("read", {"path": "memory/x.md"})) == "mine"
    assert WORD not in content(made.run("cat workspace/inner"))


def test_a_link_in_place_of_an_own_directory_is_not_mounted(house: House, tmp_path: Path) -> None:
    """Only the operator could do this; a start then refuses rather than give the target away."""
    made = house[0]
    (tmp_path / "secret.md").write_text(WORD)
    output = made.root() / "output"
    output.rmdir()
    output.symlink_to(tmp_path)
    try:
        assert (output / "secret.md").read_text() == WORD
        for agent_call in (
            made.call("read", {"path": "output/secret.md"}, session="agent:bruba-main:other"),
            made.run("cat output/secret.md"), made.run("grep -R canary output"),
        ):  # fmt: skip
            assert WORD not in content(agent_call)
    finally:
        output.unlink()
        output.mkdir(mode=0o770)
        os.chown(output, made.uid(), made.uid())
