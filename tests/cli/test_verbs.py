from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import bascule, command, environment, inside
from typer.main import get_command

from bascule.cli.main import build

LISTS = [
    ("approvals", "list"),
    ("agents", "list"),
    ("sessions", "list"),
    ("ledger", "tail"),
    ("ledger", "show", "7", "--lineage"),
    ("pairing", "list"),
    ("sandbox", "list"),
]
OBJECTS = [
    ("status",),
    ("approvals", "show", "apr_1"),
    ("approvals", "approve", "apr_1"),
    ("approvals", "approve", "apr_1", "--minutes", "5"),
    ("approvals", "deny", "ABC"),
    ("tokens", "create", "phone", "--scope", "read", "--agent", "*"),
    ("pairing", "approve", "KOFFER23"),
    ("agents", "show", "bruba-main"),
    ("sessions", "show", "agent:bruba-main:main"),
    ("sessions", "reset", "agent:bruba-main:main"),
    ("ledger", "show", "7"),
    ("sandbox", "probe", "bruba-main"),
    ("sandbox", "stop", "bruba-main"),
    ("sandbox", "stop", "--all"),
    ("send", "bruba-main", "hello"),
]


@pytest.mark.parametrize("words", LISTS)
def test_lists_are_arrays_of_objects_with_an_id(tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = inside(tmp_path, *words, "--json")
    assert (ran.status, ran.err) == (0, "")
    assert ran.json
    assert all(isinstance(row["id"], str) for row in ran.json)


@pytest.mark.parametrize("words", OBJECTS)
def test_other_verbs_print_one_object(tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = inside(tmp_path, *words, "--json")
    assert (ran.status, ran.err) == (0, "")
    assert isinstance(ran.json, dict)


@pytest.mark.parametrize("words", [*LISTS, *OBJECTS])
def test_people_get_text(tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = inside(tmp_path, *words)
    assert ran.status == 0
    assert ran.out.strip()


@pytest.mark.parametrize("words", [("status", "--json"), ("--json", "status")])
def test_json_may_be_asked_before_or_after_the_verb(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert inside(tmp_path, *words).json["ledger_seq"] == 9


def test_the_home_may_be_named_three_ways(tmp_path: Path) -> None:
    for words in (("--home", str(tmp_path), "status"), ("status", "--home", str(tmp_path))):
        assert bascule(Path("/nonexistent"), *words).status == 0
    assert bascule(None, "status", HOME=str(tmp_path)).status == 1
    (tmp_path / ".bascule").mkdir()
    assert bascule(None, "status", HOME=str(tmp_path)).status == 0
    assert bascule(None, "status", "--home", "").status == 2


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("nope",), 2, "usage"),
        (("approvals",), 2, "usage"),
        (("approvals", "show", "none"), 2, "approval_unknown"),
        (("agents", "show", "none"), 2, "agent_unknown"),
        (("ledger", "show", "x"), 2, "usage"),
        (("ledger", "tail", "-n", "0"), 2, "usage"),
        (("send", "bruba-main", "down"), 1, "model_down"),
        (("chat", "bruba-main"), 2, "usage"),
        (("gateway", "stop"), 1, "gateway_not_running"),
        (("approvals", "approve"), 2, "usage"),
        (("grants", "revoke", "gr_1"), 2, "grant_unknown"),
        (("tokens", "create", "phone"), 2, "usage"),
        (("tokens", "create", "phone", "--scope", "read"), 2, "usage"),
        (("tokens", "create", "phone", "--scope", "read", "--agent", "*", "--days", "0"), 2, "usage"),
        (("tokens", "revoke", "phone"), 2, "token_unknown"),
        (("pairing", "approve", "none"), 2, "pairing_unknown"),
        (("dashboard",), 1, "dashboard_off"),
    ],
)
def test_errors(tmp_path: Path, words: tuple[str, ...], status: int, code: str) -> None:
    ran = inside(tmp_path, *words, "--json")
    assert (ran.status, ran.error["code"], ran.out) == (status, code, "")


def test_a_name_that_steers_the_terminal_is_shown_in_the_error(tmp_path: Path) -> None:
    ran = inside(tmp_path, "no\x1b[2Jsuch")
    assert ran.status == 2
    assert "\x1b" not in ran.err
    assert "no\\x1b[2Jsuch" in ran.err


def test_an_answer_is_given_once(tmp_path: Path) -> None:
    started = bascule(tmp_path, "gateway", "start")
    assert started.status == 0, started.err
    try:
        assert bascule(tmp_path, "approvals", "deny", "apr_1").out == "denied: apr_1 (bruba-main write)\n"
        again = bascule(tmp_path, "approvals", "approve", "apr_1", "--json")
        assert (again.status, again.error["code"]) == (1, "approval_settled")
        assert bascule(tmp_path, "approvals", "list", "--json").json == []
        assert len(bascule(tmp_path, "approvals", "list", "--all", "--json").json) == 1
    finally:
        assert bascule(tmp_path, "gateway", "stop").status == 0


def test_a_card_is_shown_whole(tmp_path: Path) -> None:
    out = bascule(tmp_path, "approvals", "show", "apr_1").out
    assert out.startswith("write a file\npath: /etc/motd\\u202e\ntwo\nlines\n")
    assert f"{3:064x}" in out


def test_a_probe_that_fails_is_status_one(tmp_path: Path) -> None:
    assert inside(tmp_path, "sandbox", "probe", "other", "--json").status == 1
    assert "failed" in inside(tmp_path, "sandbox", "probe", "other").out


def test_send_prints_the_answer_and_nothing_else(tmp_path: Path) -> None:
    ran = inside(tmp_path, "send", "bruba-main", "hello")
    assert ran.out == "you said \\x1b[1mhello\n"
    assert inside(tmp_path, "send", "bruba-main", "-", stdin=b"piped").out == "you said \\x1b[1mpiped\n"
    found = inside(tmp_path, "send", "bruba-main", "hello", "--json").json
    assert (found["text"], found["seq"]) == ("you said \x1b[1mhello", 5)


def test_send_waits_for_nobody_when_nobody_could_answer(tmp_path: Path) -> None:
    ran = inside(tmp_path, "send", "bruba-main", "ask")
    assert ran.status == 3
    assert "bascule approvals approve apr_1" in ran.err
    assert inside(tmp_path, "send", "bruba-main", "ask", "--json").json["approvals"][0]["id"] == "apr_1"


def test_version() -> None:
    ran = bascule(None, "--version")
    assert (ran.status, ran.out.split()[0], ran.err) == (0, "bascule", "")


def test_help_imports_no_room_that_costs() -> None:
    heavy = [
        "pydantic_ai",
        "pydantic",
        "fastapi",
        "apsw",
        "httpx2",
        "httpx",
        "rich",
        "cryptography",
        "asyncio",
        "readline",
        "bascule.app",
        "bascule.policy",
    ]
    program = (
        "import sys\nfrom bascule.cli.main import run\nrun(['--help'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(None), timeout=60, check=True
    )
    assert done.stderr == "[]\n"
    assert "approvals" in done.stdout


def commands(app: Any, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [(*before, entry.name or entry.callback.__name__) for entry in app.registered_commands]
    for group in app.registered_groups:
        found += commands(group.typer_instance, (*before, group.name))
    return found


OF_THE_MACHINE = {("host", "install"), ("host", "uninstall"), ("host", "unit")}
"""They are about the one installed home."""


def test_every_verb_has_json_and_an_example() -> None:
    def walk(node: Any, words: tuple[str, ...]) -> list[tuple[str, ...]]:
        if hasattr(node, "commands"):
            return [found for name, child in node.commands.items() for found in walk(child, (*words, name))]
        options = {option for parameter in node.params for option in parameter.opts}
        assert "--json" in options, words
        assert "--home" in options or words in OF_THE_MACHINE, words
        assert node.epilog.startswith(f"\b\nExample: bascule {' '.join(words)}"), words
        assert node.help, words
        return [words]

    found = walk(get_command(build()), ())
    assert set(found) == set(commands(build()))
    assert ("call",) in found
    assert ("gateway", "start") in found


@pytest.mark.parametrize("words", [("ledger", "tail"), ("call", "bruba-main", "fine"), ("send", "bruba-main", "hello")])
def test_a_reader_that_has_gone_is_no_traceback(tmp_path: Path, words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command(*words), stdout=writer, stderr=subprocess.PIPE, env=environment(tmp_path), timeout=60, check=False
    )
    os.close(writer)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


def test_whatever_breaks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("two\nlines \x1b[2J")

    monkeypatch.setattr("bascule.cli.launch.connect", broken)
    ran = inside(tmp_path, "status")
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "ZeroDivisionError: two lines \\x1b[2J" in ran.err


def test_control_c_is_status_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bascule.cli.launch.connect", interrupted)
    assert inside(tmp_path, "status").status == 130
    assert inside(tmp_path, "call", "a", "fine").status == 130


@pytest.mark.parametrize("verb", ["stop", "recreate"])
def test_everybodys_boxes_are_ended_only_by_that_word(tmp_path: Path, verb: str) -> None:
    assert inside(tmp_path, "sandbox", verb).status == 2
    assert inside(tmp_path, "sandbox", verb, "bruba-main", "--all").status == 2


def test_recreate_says_whether_each_holds(tmp_path: Path) -> None:
    good, bad = inside(tmp_path, "sandbox", "recreate", "--all"), inside(tmp_path, "sandbox", "recreate", "other")
    assert (good.status, bad.status) == (0, 1)
    assert "bruba-main (bubblewrap): as it must be" in good.out
