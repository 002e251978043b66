"""T11: a tool that was taken away is used.

Where no scope takes it away each call has its effect, as a first gateway with the template's own policy shows; a second
one takes each tool away at another scope, and records every try with the key that took it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.living import Living, codes, content, effect, living

pytestmark = pytest.mark.live

MAIN, REX, GURU, MANAGER = "bruba-main", "bruba-rex", "bruba-guru", "bruba-manager"

CHANGES = (
    ('deny: ["group:web", "browser", "cron", "gateway", "sessions_spawn"]', 'deny: ["wr*e", "group:web"]'),
    ('allow: ["read", "write", "edit", "exec", "group:memory", "group:sessions", "message", "cron", "image"]',
     'allow: ["read", "exec"]'),
    ('deny: ["group:web", "browser", "cron", "gateway"],', 'deny: ["group:fs"],'),
    ('allow: ["read", "write", "exec", "group:memory", "sessions_send", "sessions_list", "session_status"]', "allow: []"),
    ('deny: ["browser", "canvas",', 'deny: ["exec", "browser", "canvas",'),
)  # fmt: skip
"""Each takes a tool away at one scope, in five ways: a glob, a shorter list, a group, an empty list, for everybody."""

READ = ("read", {"path": "workspace/notes.md"})
WRITE = ("write", {"path": "workspace/new.md", "content": "new"})
EDIT = ("edit", {"path": "workspace/notes.md", "oldText": "notes", "newText": "changed"})
EXEC = ("exec", {"command": "cat workspace/notes.md"})

TRIES: list[tuple[str, tuple[str, dict[str, Any]], str, str]] = [
    (MAIN, WRITE, "tool_denied", "agents.list[0].tools.deny"),
    (REX, EDIT, "tool_not_allowed", "agents.list[1].tools.allow"),
    (GURU, READ, "tool_denied", "agents.list[2].tools.deny"),
    (GURU, WRITE, "tool_denied", "agents.list[2].tools.deny"),
    (GURU, EDIT, "tool_denied", "agents.list[2].tools.deny"),
    (MANAGER, READ, "tool_not_allowed", "agents.list[3].tools.allow"),
    (MAIN, EXEC, "tool_denied", "tools.deny"),
]


@dataclass(frozen=True)
class Houses:
    given: Living
    taken: Living


def furnish(made: Living) -> None:
    for agent in (MAIN, REX, GURU, MANAGER):
        (made.root(agent) / "workspace" / "notes.md").write_text("notes\n")


def state(made: Living, agent: str) -> dict[Path, str]:
    return {path: path.read_text() for path in (made.root(agent) / "workspace").iterdir()}


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    def take_away(made: Living) -> None:
        furnish(made)

        def edited(text: str) -> str:
            for old, new in CHANGES:
                assert old in text, old
                text = text.replace(old, new)
            return text.partition("  examples: [")[0] + "}\n"

        made.change("bascule.json5", edited)

    base = tmp_path_factory.mktemp("t11")
    with living(base / "given", furnish) as given, living(base / "taken", take_away) as taken:
        yield Houses(given, taken)


@pytest.mark.parametrize(("agent", "call", "code", "key"), TRIES)
def test_a_tool_that_was_taken_away_has_no_effect_and_its_use_is_on_record(
    houses: Houses, agent: str, call: tuple[str, dict[str, Any]], code: str, key: str
) -> None:
    tool, args = call
    furnish(houses.given)
    before = state(houses.given, agent)
    worked = houses.given.call(tool, args, agent=agent)
    assert worked["outcome"]["ok"], "the call has no effect even where nothing takes the tool away"
    assert content(worked) == "notes\n" or state(houses.given, agent) != before

    before = state(houses.taken, agent)
    report = houses.taken.call(tool, args, agent=agent)
    assert (effect(report), report["outcome"], report["approval"]) == ("deny", None, None)
    assert code in codes(report)
    assert state(houses.taken, agent) == before
    record = houses.taken.records(1)[0]
    assert (record["seq"], record["kind"], record["agent"]) == (report["ledger"]["seq"], "decided", agent)
    assert record["body"]["tool"] == tool
    reasons = [verdict["reason"] for verdict in record["body"]["decision"]["verdicts"] if verdict["code"] == code]
    assert any(f"{key} " in reason or reason.endswith(key) for reason in reasons), reasons


@pytest.mark.parametrize(("agent", "call", "code", "key"), TRIES)
def test_bad_arguments_do_not_hide_the_try(
    houses: Houses, agent: str, call: tuple[str, dict[str, Any]], code: str, key: str
) -> None:
    for text in ("{}", "[", '{"path": 1}', '{"a": 1, "a": 2}'):
        report = houses.taken.call(call[0], text, agent=agent)
        assert effect(report) == "deny"
        assert code in codes(report)
        record = houses.taken.records(1)[0]
        assert key in json.dumps(record["body"]["decision"])
        assert record["body"]["raw_args"] == text


@pytest.mark.parametrize(("agent", "call", "_code", "_key"), TRIES)
def test_it_is_not_offered_either(
    houses: Houses, agent: str, call: tuple[str, dict[str, Any]], _code: str, _key: str
) -> None:
    assert call[0] in houses.given.client.request("agents_show", agent=agent)["tools"]
    assert call[0] not in houses.taken.client.request("agents_show", agent=agent)["tools"]


NOT_NAMES = [
    "nosuch", "EXEC", "Exec", "exec ", " exec", "exec\0", "exec\n", "ex\u0435c", "\uff45xec", "exec/../read", "group:fs", "*",
    "", "x" * 200, "\ud800", "__class__", "shell", "bash", "apply-patch", "read\u200b",
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_NAMES, ids=ascii)
def test_no_other_spelling_reaches_a_tool_and_each_is_on_record(houses: Houses, name: str) -> None:
    for house in (houses.given, houses.taken):
        report = house.call(name, {"command": "cat workspace/notes.md", "path": "workspace/notes.md"})
        assert (effect(report), report["outcome"]) == ("deny", None)
        assert codes(report) & {"tool_unknown", "not_in_force"}
        record = house.records(1)[0]
        assert record["seq"] == report["ledger"]["seq"]
        assert json.dumps(record["body"]["tool"]).isascii()


def test_a_denied_program_is_not_reached_by_another_tool(houses: Houses) -> None:
    for tool in ("process", "bash", "code_execution", "sessions_spawn", "gateway"):
        report = houses.given.call(tool, {"command": "cat workspace/notes.md"})
        assert (effect(report), report["outcome"]) == ("deny", None)
