"""The approvals file: what its entries mean, and that a broken one says why and allows nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bascule.core.toolspec import ActionClass
from bascule.policy.approvals_file import MAX_ARGS_PATTERN, read_approvals, regex_problem, rules_for
from bascule.policy.paths import PathNames

NAMES = PathNames("/h/agents/a", "/home/me", {"/bin": "/usr/bin"})


def file(entry: Any = None, **agent: Any) -> str:
    section = {"allowlist": [entry] if entry is not None else [], **agent}
    return json.dumps({"version": 1, "agents": {"a": section}})


def test_an_entry_keeps_everything_the_operator_said() -> None:
    entry = {
        "pattern": "tools/*.sh",
        "args": "-v .*",
        "writes": True,
        "needs": ["/bin/sh"],
        "class": "web",
        "reason": "why",
    }
    rules = rules_for(read_approvals(file(entry), "f"), "a", NAMES)
    (found,) = rules.entries
    assert (found.pattern, found.written) == ("/h/agents/a/tools/*.sh", "tools/*.sh")
    assert (found.args, found.writes, found.needs) == ("-v .*", True, ("/bin/sh", "/usr/bin/sh"))
    assert (found.action, found.reason) == (ActionClass.WEB, "why")
    assert found.where.startswith("f:1:")
    assert found.where.endswith("agents.a.allowlist[0]")


def test_what_openclaw_writes_at_run_time_is_ignored() -> None:
    entry = {"pattern": "/bin/ls", "id": "x", "lastUsedAt": 1.5, "lastUsedCommand": "ls", "lastResolvedPath": "/bin/ls"}
    text = json.dumps({"version": 1, "socket": {"path": "x", "token": "y"}, "agents": {"a": {"allowlist": [entry]}}})
    approvals = read_approvals(text, "f")
    assert approvals.broken == ""
    assert [entry.pattern for entry in rules_for(approvals, "a", NAMES).entries] == ["/usr/bin/ls"]


def test_no_file_says_nothing() -> None:
    approvals = read_approvals(None, "f")
    assert approvals.broken == ""
    assert rules_for(approvals, "a", NAMES).entries == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "f:1:1"),
        ("[]", "the file"),
        ("{}", "version"),
        ('{"version": 2}', "version must be 1"),
        ('{"version": true}', "version must be 1"),
        ('{"version": 1, "agent": {}}', "agent: there is no such key"),
        ('{"version": 1, "defaults": {"ask": "never"}}', "defaults.ask"),
        (file(ask="Always"), "agents.a.ask"),
        (file(security="none"), "agents.a.security"),
        (file({"pattern": "/bin/ls", "arg": "x"}), "allowlist[0].arg"),
        (file({"pattern": "/bin/ls", "args": "("}), "does not compile"),
        (file({"pattern": "/bin/ls", "args": "(?<=a)b"}), "does not compile"),
        (file({"pattern": "/bin/ls", "args": "a", "argPattern": "a"}), "not both"),
        (file({"pattern": "/bin/../sbin/x"}), ".. component"),
        (file({"pattern": "/bin/l\u200bs"}), "cannot be seen"),
        (file({"pattern": " "}), "pattern"),
        (file({"pattern": "/bin/ls", "needs": ["sh"]}), "whole path"),
        (file({"pattern": "/bin/ls", "needs": ["/bin/*"]}), "whole path"),
        (file({"pattern": "/bin/ls", "writes": 1}), "writes"),
        (file({"pattern": "/bin/ls", "class": "root"}), "class"),
        (file("../x"), ".. component"),
        (json.dumps({"version": 1, "agents": {"A": {}, "a": {}}}), "two sections"),
        (json.dumps({"version": 1, "agents": {"a b": {}}}), "agent id"),
    ],
)
def test_a_broken_file_says_why_in_one_line_and_lists_nothing(text: str, says: str) -> None:
    approvals = read_approvals(text, "f")
    assert says in approvals.broken
    assert approvals.broken.startswith("f:")
    assert "\n" not in approvals.broken
    assert rules_for(approvals, "a", NAMES).entries == ()


def test_entries_with_arguments_are_asked_first_and_order_is_kept_otherwise() -> None:
    written = ["/bin/a", {"pattern": "/bin/b", "args": "x"}, "/bin/c", {"pattern": "/bin/d", "args": "y"}]
    shared = {"allowlist": ["/bin/all"]}
    text = json.dumps({"version": 1, "agents": {"a": {"allowlist": written}, "*": shared}})
    rules = rules_for(read_approvals(text, "f"), "a", NAMES)
    assert [entry.written for entry in rules.entries] == ["/bin/b", "/bin/d", "/bin/all", "/bin/a", "/bin/c"]


def test_the_nearest_section_that_says_a_word_wins_and_is_named() -> None:
    text = json.dumps(
        {"version": 1, "defaults": {"ask": "off", "security": "deny"}, "agents": {"*": {"ask": "on-miss"}, "a": {}}}
    )
    rules = rules_for(read_approvals(text, "f"), "a", NAMES)
    assert (rules.ask, rules.security) == ("on-miss", "deny")
    assert dict(rules.sources) == {"ask": "agents.*.ask", "security": "defaults.security"}


def test_an_expression_must_compile_in_linear_time() -> None:
    assert regex_problem("(a+)+$") == ""
    assert "does not compile" in regex_problem(r"(a)\1")
    assert "NUL" in regex_problem("a\0")
    assert "at most" in regex_problem("a" * (MAX_ARGS_PATTERN + 1))
    assert "does not compile" in regex_problem("\ud800")
