"""What became of a call is read from records, whatever was expected."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from demo.evidence import Evidence


def verdict(judge: str, effect: str, remedy: str = "") -> dict[str, str]:
    return {"judge": judge, "effect": effect, "code": f"{judge}_code", "reason": "", "remedy": remedy}


def decided(seq: int, effect: str, **body: Any) -> dict[str, Any]:
    verdicts = [verdict("a", "allow"), verdict("b", "ask", "ask them"), verdict("c", "deny")]
    reached = {"allow": 1, "ask": 2, "deny": 3}[effect]
    decision = {"effect": effect, "verdicts": verdicts[:reached]}
    return {
        "seq": seq,
        "kind": "decided",
        "body": {"tool": "exec", "args": {"command": "ls"}, "decision": decision, **body},
    }


def record(seq: int, kind: str, parent: int = 0, **body: Any) -> dict[str, Any]:
    return {"seq": seq, "kind": kind, "body": {"parent": parent, "by": "root", **body}}


def ran(seq: int, parent: int, *, ok: bool = True, content: bytes = b"out") -> list[dict[str, Any]]:
    digest = hashlib.sha256(content).hexdigest()
    body = {"ok": ok, "code": "" if ok else "file_missing", "exit": None, "size": len(content), "sha256": digest}
    confinement = {"programs": ["/usr/bin/ls", "/bin/ls"]}
    return [record(seq, "started", parent, confinement=confinement), record(seq + 1, "finished", seq, **body)]


OVERRULED = record(4, "answered", 3, decision={"effect": "deny", "verdicts": []})


@pytest.mark.parametrize(
    ("records", "effect"),
    [
        ([decided(1, "deny")], "denied"),
        ([decided(1, "allow"), *ran(2, 1)], "ran"),
        ([decided(1, "allow"), *ran(2, 1, ok=False)], "failed"),
        ([decided(1, "allow"), *ran(2, 1)[:1]], "did not end"),
        ([decided(1, "ask"), record(2, "denied")], "asked: no"),
        ([decided(1, "ask")], "asked, not answered"),
        ([decided(1, "ask"), record(2, "approved"), decided(3, "ask"), *ran(4, 3)], "asked: yes, ran"),
        ([decided(1, "ask"), record(2, "approved"), decided(3, "ask"), *ran(4, 3, ok=False)], "asked: yes, failed"),
        ([decided(1, "ask"), record(2, "approved"), decided(3, "ask"), OVERRULED], "asked: yes, denied"),
    ],
)
def test_each_way_a_call_can_go(records: list[dict[str, Any]], effect: str) -> None:
    assert {name for name, count in Evidence(records).effects().items() if count} == {effect}


def test_many_calls_are_counted() -> None:
    records = [decided(1, "allow"), *ran(2, 1), decided(4, "allow"), *ran(5, 4, ok=False), decided(7, "deny")]
    assert Evidence(records).effects() == {"ran": 1, "failed": 1, "denied": 1}


def test_the_strictest_speaks_first_and_advice_is_found_behind_it() -> None:
    evidence = Evidence([decided(1, "deny")])
    assert [found["judge"] for found in evidence.objections()] == ["c", "b"]
    assert evidence.remedy() == "ask them"
    assert Evidence([decided(1, "allow")]).remedy() == ""


def test_what_came_back_is_held_against_the_ledger() -> None:
    evidence = Evidence([decided(1, "allow"), *ran(2, 1, content=b"out")])
    assert evidence.covers([b"out"])
    assert not evidence.covers([b"other"])
    assert not evidence.covers([])
    assert evidence.box() == ["ls"]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({}, "exec ls"),
        ({"args": {"path": "x", "content": "y"}}, "exec x"),
        ({"args": None, "raw_args": '{"command": "ls $(id)"}'}, "exec ls $(id)"),
        ({"args": None, "raw_args": "{no"}, "exec {no"),
    ],
)
def test_what_was_asked_is_one_line(body: dict[str, Any], shown: str) -> None:
    assert Evidence([decided(1, "deny", **body)]).asked() == shown


def test_a_connection_is_one_that_the_ledger_had_before_it_was_made() -> None:
    records = [decided(1, "allow", tool="web_fetch"), record(2, "started", 1), record(3, "egress_refused", 2)]
    assert (Evidence(records).connections(), Evidence(records).tool()) == (0, "web_fetch")
    assert Evidence([*records, record(4, "egress_opened", 2)]).connections() == 1
    assert Evidence([]).tool() == ""
