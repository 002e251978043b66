"""What an edit changes for agents."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from tests.policy.making import compiled

from bascule.core.ids import AgentId
from bascule.policy.diff import Change, Direction, diff_policies

BASE: dict[str, Any] = {
    "agents": {"list": [{"id": "a", "tools": {"allow": ["read", "exec"]}, "sandbox": {"network": "proxy"}}]},
    "tools": {"exec": {"security": "allowlist", "ask": "on-miss"}},
    "operators": {"pat": {"approves": True}},
}
FILED: dict[str, Any] = {"version": 1, "agents": {"a": {"allowlist": [{"pattern": "/bin/ls", "writes": True}]}}}


def changes(config: Any = None, filed: Any = None) -> list[Change]:
    old, new = compiled(BASE, FILED)[0], compiled(config or BASE, filed or FILED)[0]
    forth, back = diff_policies(old, new), diff_policies(new, old)
    assert len(forth) == len(back)
    return list(forth)


def edited(**changes_: Any) -> Any:
    config = copy.deepcopy(BASE)
    for path, value in changes_.items():
        *folders, last = path.split("__")
        place: Any = config
        for folder in folders:
            place = place[int(folder)] if folder.isdigit() else place[folder]
        place[last] = value
    return config


def test_nothing_changes_nothing() -> None:
    assert changes() == []


@pytest.mark.parametrize(
    ("config", "direction", "subject"),
    [
        (edited(agents__list__0__tools={"allow": ["read", "exec", "cron"]}), "wider", "tool cron"),
        (edited(agents__list__0__tools={"allow": ["read"]}), "narrower", "tool exec"),
        (edited(agents__list__0__sandbox={"network": "none"}), "narrower", "sandbox.network"),
        (edited(agents__list__0__sandbox={"network": "proxy", "backend": "unsafe_none"}), "wider", "sandbox.backend"),
        (edited(agents__list__0__sandbox={"docker": {"network": "bridge"}}), "wider", "egress.allow"),
        (edited(agents__list__0__quota={"callsPerDay": 1}), "narrower", "quota calls_per_day"),
        (edited(agents__list__0__model="x/y"), "other", "model"),
        (edited(tools__exec={"security": "deny", "ask": "on-miss"}), "narrower", "exec security"),
        (edited(tools__exec={"security": "allowlist", "ask": "always"}), "narrower", "exec ask"),
        (edited(approvals={"timeoutSeconds": 3600}), "wider", "approvals.timeoutSeconds"),
        (edited(approvals={"passkey": "risky"}), "narrower", "approvals.passkey"),
        (edited(operators={"pat": {"approves": True}, "kim": {}}), "wider", "operators.kim"),
    ],
)
def test_an_edit_of_the_configuration(config: Any, direction: str, subject: str) -> None:
    assert [(change.direction, change.subject) for change in changes(config)] == [(direction, subject)]


def test_leaving_the_bare_host_narrows() -> None:
    old = compiled(edited(agents__list__0__sandbox={"backend": "unsafe_none"}), FILED)[0]
    new = compiled(edited(agents__list__0__sandbox={"backend": "docker"}), FILED)[0]
    assert [(change.direction, change.subject) for change in diff_policies(old, new)] == [
        (Direction.NARROWER, "sandbox.backend")
    ]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], [("narrower", "exec entry /usr/bin/ls")]),
        (["/bin/ls"], [("narrower", "exec entry /usr/bin/ls")]),
        ([{"pattern": "/bin/ls", "writes": True, "needs": ["/usr/bin/wc"]}], [("wider", "exec entry /usr/bin/ls")]),
        ([{"pattern": "/usr/bin/ls", "writes": True}], []),
        (
            [{"pattern": "/bin/ls", "writes": True, "args": "-l"}],
            [("wider", "exec entry /usr/bin/ls"), ("narrower", "exec entry /usr/bin/ls")],
        ),
    ],
)
def test_an_edit_of_the_approvals_file(entries: Any, expected: Any) -> None:
    found = changes(None, {"version": 1, "agents": {"a": {"allowlist": entries}}})
    assert [(change.direction, change.subject) for change in found] == expected


def test_a_file_that_breaks_is_narrower() -> None:
    found = diff_policies(compiled(BASE, FILED)[0], compiled(BASE, "{")[0])
    assert {change.direction for change in found} == {Direction.NARROWER}
    assert "exec approvals file" in {change.subject for change in found}


def test_a_new_agent_is_wider_by_each_of_its_tools() -> None:
    config = edited(agents__list=[*BASE["agents"]["list"], {"id": "b", "tools": {"allow": ["read"]}}])
    old, new = compiled(BASE, FILED)[0], compiled(config, FILED)[0]
    found = [(change.agent, change.subject) for change in diff_policies(old, new)]
    assert found == [("b", "agent"), ("b", "tool read")]
    assert [change.direction for change in diff_policies(new, old)] == [Direction.NARROWER]


def test_what_a_box_is_lent_is_a_difference() -> None:
    def lent(*binds: str, peers: object = ()) -> object:
        agents = {"list": [{"id": "a", "sandbox": {"docker": {"binds": list(binds)}}}, {"id": "b"}]}
        return compiled({"agents": agents, "peers": list(peers)})[0]

    def seen(old: object, new: object) -> list[tuple[str, str, str, str]]:
        return [(str(c.direction), c.subject.split()[0], c.before, c.after) for c in diff_policies(old, new)]

    none, read, write = lent(), lent("/srv/x:/x:ro"), lent("/srv/x:/x:rw")
    assert seen(none, read) == [("wider", "sandbox.docker.binds", "", "ro")]
    assert seen(read, write) == [("wider", "sandbox.docker.binds", "ro", "rw")]
    assert seen(write, read) == [("narrower", "sandbox.docker.binds", "rw", "ro")]
    assert seen(write, none) == [("narrower", "sandbox.docker.binds", "rw", "")]
    row = {"from": "a", "to": "b", "send": "allow"}
    assert seen(none, lent(peers=[row])) == [("wider", "peers", "", "allow")]
    assert seen(lent(peers=[row]), lent(peers=[{**row, "send": "deny"}])) == [("narrower", "peers", "allow", "deny")]


def test_a_first_filter_narrows_and_every_other_change_of_it_widens() -> None:
    def filtered(path: str) -> Any:
        return edited(agents__list__0__sandbox={"network": "proxy", "docker": {"seccompProfile": path}})

    [added] = changes(filtered("a.json"))
    assert (added.direction, added.subject, added.before) == ("narrower", "sandbox.docker.seccompProfile", "")
    old, new = compiled(filtered("a.json"), FILED)[0], compiled(filtered("b.json"), FILED)[0]
    [other], [gone] = diff_policies(old, new), diff_policies(old, compiled(BASE, FILED)[0])
    assert (other.direction, gone.direction, gone.after) == ("wider", "wider", "")
    rules = old.agents[AgentId("a")]
    said = replace(rules.sandbox.docker, seccomp_digest="ab" * 32)
    changed = replace(old, agents={"a": replace(rules, sandbox=replace(rules.sandbox, docker=said))})
    [content] = diff_policies(old, changed)
    assert (content.direction, "abababababab" in content.after) == ("wider", True)
