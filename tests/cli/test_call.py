from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import bascule, inside

from bascule.cli.call import verdict_lines


def line(tool: str, args: str = "{}", agent: str = "bruba-main", more: str = "") -> str:
    return f'{{"agent":"{agent}","tool":"{tool}","args":{args}{more}}}\n'


@pytest.mark.parametrize(
    ("tool", "status", "effect"), [("fine", 0, "allow"), ("fails", 1, "allow"), ("asks", 3, "ask"), ("nope", 4, "deny")]
)
def test_one_call_prints_one_object(tmp_path: Path, tool: str, status: int, effect: str) -> None:
    ran = inside(tmp_path, "call", "bruba-main", tool, '{"path": "MEMORY.md"}', "--json")
    assert ran.status == status
    assert ran.err == ""
    assert list(ran.json) == ["call", "decision", "approval", "outcome", "ledger"]
    assert ran.json["decision"]["effect"] == effect
    assert ran.json["call"]["args"] == {"path": "MEMORY.md"}
    assert ran.json["ledger"]["seq"] == 1
    assert (ran.json["approval"] is None) == (tool != "asks")
    assert (ran.json["outcome"] is None) == (tool not in {"fine", "fails"})


@pytest.mark.parametrize(
    "words",
    [
        ("call", "nobody", "fine"),
        ("call", "bruba-main", "fine", "{"),
        ("call", "bruba-main", "fine", "[]"),
        ("call", "bruba-main", "fine", '{"a":NaN}'),
        ("call", "bruba-main"),
        ("call",),
        ("call", "bruba-main", "fine", "{}", "more"),
        ("call", "bruba-main", "fine", "--no-such-option"),
        ("call", "bruba-main", "fine", "--wait", "soon"),
        ("call", "bruba-main", "fine", "--wait", "-1"),
        ("call", "bruba-main", "fine", "--batch", "x"),
        ("call", "--batch", "/nonexistent/file"),
        ("call", "bruba-main", "broken"),
        ("--home", "/nonexistent/home", "call", "bruba-main", "fine"),
    ],
)
def test_usage_and_configuration_are_status_two(tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = inside(tmp_path, *words, "--json")
    assert ran.status == 2
    assert ran.out == ""
    assert set(ran.error) == {"code", "message", "remedy"}


def test_a_home_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "refuse").touch()
    ran = bascule(tmp_path, "call", "bruba-main", "fine", "--json")
    assert (ran.status, ran.error["code"]) == (2, "simulated_refusal")
    plain = bascule(tmp_path, "call", "bruba-main", "fine")
    assert plain.err == "bascule: this home does not start (remove the file refuse) [simulated_refusal]\n"
    (tmp_path / "refuse").rename(tmp_path / "crash")
    ran = bascule(tmp_path, "call", "bruba-main", "fine", "--json")
    assert (ran.status, ran.error["code"]) == (2, "internal_error")
    assert "ZeroDivisionError" in (tmp_path / "logs" / "gateway.log").read_text()
    assert oct((tmp_path / "logs" / "gateway.log").stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize(
    ("args", "kept"), [('{"a":1,"a":2}', None), ('{"a":1.5}', None), ('{"a":"\\ud800"}', None), ('{"a": 1}', {"a": 1})]
)
def test_what_the_gate_refuses_goes_to_the_gate(tmp_path: Path, args: str, kept: Any) -> None:
    ran = inside(tmp_path, "call", "bruba-main", "fine", args, "--json")
    assert ran.json["call"]["args"] == kept
    assert ran.status == (0 if kept else 4)
    batched = inside(tmp_path, "call", "--batch", "-", "--json", stdin=line("fine", args).encode())
    assert batched.lines[0]["call"]["args"] == kept
    assert batched.status == ran.status


def test_a_dry_run_has_no_record(tmp_path: Path) -> None:
    ran = inside(tmp_path, "call", "bruba-main", "asks", "--dry-run", "--json")
    assert (ran.status, ran.json["ledger"]["seq"], ran.json["approval"]) == (3, None, None)
    assert inside(tmp_path, "call", "bruba-main", "fine", "--dry-run", "--json").status == 0


def test_sessions(tmp_path: Path) -> None:
    assert inside(tmp_path, "call", "a", "fine", "--json").json["call"]["session"] == "agent:a:cli"
    assert inside(tmp_path, "call", "a", "fine", "--session", "s", "--json").json["call"]["session"] == "s"
    lines = line("fine") + line("fine", more=',"session":"own"')
    ran = inside(tmp_path, "call", "--batch", "-", "--session", "s", "--json", stdin=lines.encode())
    assert [found["call"]["session"] for found in ran.lines] == ["s", "own"]


@pytest.mark.parametrize(
    ("tools", "status"),
    [
        (["fine"], 0),
        (["fine", "fails"], 1),
        (["fails", "asks", "fine"], 3),
        (["asks", "nope", "fails"], 4),
        (["nope", "BAD", "asks"], 2),
        (["fine", "BAD"], 2),
        ([], 0),
    ],
)
def test_a_batch_runs_every_line_in_order(tmp_path: Path, tools: list[str], status: int) -> None:
    text = "".join("not json\n" if tool == "BAD" else line(tool) for tool in tools)
    (tmp_path / "lines").write_text(text)
    ran = inside(tmp_path, "call", "--batch", str(tmp_path / "lines"), "--json")
    assert ran.status == status
    assert ran.err == ""
    found = ["BAD" if "error" in row else row["call"]["tool"] for row in ran.lines]
    assert found == tools
    assert [set(row["error"]) for row in ran.lines if "error" in row] == [
        {"code", "message", "remedy"} for tool in tools if tool == "BAD"
    ]


def test_an_unknown_agent_or_a_failure_inside_takes_its_own_line_only(tmp_path: Path) -> None:
    lines = line("fine", agent="nobody") + line("broken") + "\n" + line("fine") + '{"agent":"a'
    ran = inside(tmp_path, "call", "--batch", "-", "--json", stdin=lines.encode())
    assert ran.status == 2
    codes = [row["error"]["code"] if "error" in row else row["decision"]["effect"] for row in ran.lines]
    assert codes == ["agent_unknown", "internal_error", "allow", "arguments_not_json"]


def test_people_get_the_content_and_beside_it_the_reasons(tmp_path: Path) -> None:
    ran = inside(tmp_path, "call", "bruba-main", "fine")
    assert (ran.out, ran.status) == ("hello\n", 0)
    assert "allow fine for bruba-main (record 1)" in ran.err
    asked = inside(tmp_path, "call", "bruba-main", "asks")
    assert asked.out == ""
    assert "bascule approvals approve apr_1" in asked.err
    assert "exit status 7" in inside(tmp_path, "call", "bruba-main", "fails").err
    denied = inside(tmp_path, "call", "bruba-main", "x\x1b[1m")
    assert "\x1b" not in denied.err
    assert "simulated: it is deny" in denied.err


def test_judges_that_miss_the_same_thing_say_so_together() -> None:
    def denied(judge: str, reason: str, code: str = "not_in_force") -> dict[str, str]:
        return {"judge": judge, "effect": "deny", "code": code, "reason": reason, "remedy": "run: it"}

    verdicts = [
        denied("l1_account", "account isolation is not in force: no engine"),
        denied("l4_tool_deny", "some list denies it", "tool_denied"),
        denied("l7_os_permissions", "operating-system permissions are not in force: no engine"),
        denied("in_force", "web_fetch needs the proxy, which is not in force: nobody answers"),
    ]
    report = {
        "call": {"tool": "read", "agent": "a"},
        "decision": {"effect": "deny", "verdicts": verdicts},
        "approval": None,
        "outcome": None,
        "ledger": {"seq": 1},
    }
    assert verdict_lines(report)[1:] == [
        "  l1_account, l7_os_permissions: not in force: no engine (run: it) [not_in_force]",
        "  l4_tool_deny: some list denies it (run: it) [tool_denied]",
        "  in_force: web_fetch needs the proxy, which is not in force: nobody answers (run: it) [not_in_force]",
    ]


def test_output_is_ascii_json_whatever_is_in_it(tmp_path: Path) -> None:
    ran = inside(tmp_path, "call", "bruba-main", "fine", json.dumps({"a": "é\x7f\u202e"}), "--json")
    assert ran.out.isascii()
    assert ran.out.rstrip("\n").isprintable()
    assert ran.json["call"]["args"] == {"a": "é\x7f\u202e"}
