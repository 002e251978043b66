"""``bascule sandbox``: what it says, in few columns, with and without a gateway."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cli.program import bascule, environment, inside
from tests.control.simulated import SimulatedService, listening

PROGRAM = Path(sys.executable).with_name("bascule")
POLICY = """{
  tools: {
    allow: ["read", "message", "exec"],
    sandbox: { tools: { allow: ["read"] } },
  },
  agents: {
    defaults: { sandbox: { network: "none" } },
    list: [
      { id: "main" },
      { id: "boxed", sandbox: { mode: "all", backend: "docker", docker: { network: "bridge", memory: "256m" } } },
    ],
  },
}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bascule.json5").write_text(POLICY)
    return tmp_path


def test_the_tool_that_vanished_in_a_sandbox_is_explained_by_one_command(home: Path) -> None:
    ran = inside(home, "sandbox", "explain", "boxed", "message")
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "boxed and message: missing"
    assert "  sandbox ceiling: tools.sandbox.tools.allow (bascule.json5:4) does not name it" in lines
    assert "  to have it: add message to tools.sandbox.tools.allow" in lines
    assert lines[-1].endswith("its mode is not off: agents.list[1].sandbox.mode (bascule.json5:10)")
    there = inside(home, "sandbox", "explain", "main", "message")
    assert "sandbox ceiling" not in there.out


def test_a_tool_by_another_name_or_a_wrong_one(home: Path) -> None:
    assert inside(home, "sandbox", "explain", "main", "bash", "--json").json["id"] == "exec"
    wrong = inside(home, "sandbox", "explain", "main", "mesage", "--json")
    assert (wrong.status, wrong.error["code"], wrong.error["remedy"]) == (2, "tool_unknown", "did you mean message?")


def test_it_starts_nothing_and_asks_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> None:
        raise AssertionError("a gateway was started")

    monkeypatch.setattr("bascule.cli.launch.connect", started)
    found = inside(home, "sandbox", "explain", "boxed", "--json").json
    facts = {fact["id"]: fact for fact in found["facts"]}
    assert facts["memory"]["value"] == "256 MiB"
    assert facts["memory"]["where"].startswith("bascule.json5:10:")
    assert "carried as proxy" in facts["network"]["value"]
    assert sorted(path.name for path in home.iterdir()) == ["bascule.json5"]


@pytest.mark.parametrize("words", [("explain", "boxed"), ("explain", "boxed", "message"), ("--help",)])
def test_eighty_columns_are_enough(home: Path, words: tuple[str, ...]) -> None:
    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 80))
    with open(main, "rb", buffering=0) as shown:
        done = subprocess.Popen(
            [str(PROGRAM), "sandbox", *words],
            stdout=terminal,
            env=environment(home, NO_COLOR="1"),
            stdin=subprocess.DEVNULL,
        )
        os.close(terminal)
        text = b""
        with suppress(OSError):
            while piece := shown.read(4096):
                text += piece
        assert done.wait(30) == 0
    lines = text.decode().splitlines()
    assert len(lines) > 3
    assert [line for line in lines if len(line) > 80 and "bascule.json5:" not in line and "is agents" not in line] == []


def test_with_a_gateway_its_own_policy_is_explained(home: Path) -> None:
    with listening(home, SimulatedService()):
        ran = inside(home, "sandbox", "explain", "bruba-main", "message")
        whole = inside(home, "sandbox", "explain", "bruba-main", "--json")
    assert "sandbox ceiling: tools.sandbox.tools.allow (bascule.json5:3) does not name it" in ran.out
    assert whole.json["agent"] == "bruba-main"


@pytest.mark.parametrize("agent", ["nobody", "UPPER CASE", ""])
def test_an_agent_there_is_not(home: Path, agent: str) -> None:
    ran = inside(home, "sandbox", "explain", agent, "--json")
    assert (ran.status, ran.out) == (2, "")
    assert ran.error["code"] in {"agent_unknown", "agent_id"}


def test_boxes_are_listed_with_their_age(tmp_path: Path) -> None:
    ran = inside(tmp_path, "sandbox", "list")
    assert ran.out.splitlines()[1].split() == ["worker-1", "bruba-main", "bubblewrap", "running", "1", "min"]
    assert inside(tmp_path, "sandbox", "list", "--json").json[0]["age"] == 61


@pytest.mark.parametrize("verb", ["stop", "recreate"])
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("bruba-main", "--all"),
        ("bruba-main", "--agent", "bruba-main"),
        ("--all", "--session", "agent:bruba-main:main"),
        ("--session", "main"),
        ("--session", "agent:"),
    ],
)
def test_whose_boxes_end_is_said_exactly_once(tmp_path: Path, verb: str, words: tuple[str, ...]) -> None:
    ran = inside(tmp_path, "sandbox", verb, *words, "--json")
    assert (ran.status, ran.out) == (2, "")
    assert ran.error["code"] in {"usage", "session_key"}
    assert ran.error["remedy"] in {f"see: bascule sandbox {verb} --help", "see: bascule sessions list"}


@pytest.mark.parametrize("words", [("bruba-main",), ("--agent", "bruba-main"), ("--session", "agent:bruba-main:x")])
def test_one_agent_or_one_of_its_sessions(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert inside(tmp_path, "sandbox", "stop", *words, "--json").json == {"stopped": ["bruba-main"]}
    assert [made["agent"] for made in inside(tmp_path, "sandbox", "recreate", *words, "--json").json] == ["bruba-main"]


def test_the_verbs_say_how_they_are_meant() -> None:
    out = bascule(None, "sandbox", "--help").out
    for verb in ("explain", "list", "probe", "stop", "recreate", "build"):
        assert f" {verb} " in out
    assert json.dumps(out).isascii()
