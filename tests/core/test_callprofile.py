"""An operator's profile is read as engines read it, or refused with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bascule.core.callprofile import Condition, Profile, Rule, parse_profile
from bascule.core.errors import Malformed

PLAIN: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"}],
}


def parsed(body: Any, machine: str = "x86_64") -> Profile:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_profile(content, machine, "calls.json")


def test_a_profile_is_what_it_says() -> None:
    body = PLAIN | {
        "defaultErrnoRet": 38,
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"name": "kill", "action": "SCMP_ACT_KILL_PROCESS", "comment": "never"},
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 7, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}],
                "includes": {"minKernel": "4.8"},
                "excludes": {"caps": ["CAP_SYS_ADMIN"]},
            },
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": None},
        ],
    }
    assert parsed(body) == Profile(
        "SCMP_ARCH_X86_64",
        "SCMP_ACT_ERRNO",
        38,
        (
            Rule(("kill",), "SCMP_ACT_KILL_PROCESS"),
            Rule(("clone",), "SCMP_ACT_ALLOW", None, (Condition(0, "SCMP_CMP_MASKED_EQ", 7, 1),), "4.8"),
            Rule(("clone3",), "SCMP_ACT_ERRNO", 38),
        ),
    )


@pytest.mark.parametrize(
    ("condition", "machine", "stays"),
    [
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, "x86_64", False),
        ({"includes": {"arches": ["arm64", "arm"]}}, "x86_64", False),
        ({"includes": {"arches": ["arm64", "arm"]}}, "aarch64", True),
        ({"includes": {"arches": ["amd64"]}}, "x86_64", True),
        ({"excludes": {"arches": ["amd64"]}}, "x86_64", False),
        ({"excludes": {"arches": ["s390x"], "caps": ["CAP_SYS_ADMIN"]}}, "x86_64", True),
    ],
)
def test_rules_for_others_are_not_here(condition: Any, machine: str, stays: bool) -> None:
    rules = parsed(PLAIN | {"syscalls": [PLAIN["syscalls"][0] | condition]}, machine).rules
    assert bool(rules) is stays


@pytest.mark.parametrize(
    "action", ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"]
)
def test_a_default_that_refuses_is_taken(action: str) -> None:
    assert parsed(PLAIN | {"defaultAction": action}).default == action


@pytest.mark.parametrize("action", ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"])
def test_a_default_that_lets_through_is_refused_by_name(action: str) -> None:
    with pytest.raises(Malformed) as refused:
        parsed(PLAIN | {"defaultAction": action})
    assert refused.value.code == "seccomp_profile"
    assert f"defaultAction {action} lets through" in refused.value.message


def rule(**changes: Any) -> Any:
    return PLAIN | {"syscalls": [PLAIN["syscalls"][0] | changes]}


def condition(**changes: Any) -> Any:
    return rule(args=[{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"} | changes])


REFUSED: list[tuple[Any, str]] = [
    (b"\xff{}", "not UTF-8"),
    (b"{", "calls.json"),
    (b"[]", "calls.json"),
    (b'"unconfined"', "calls.json"),
    (b'{"defaultAction": "SCMP_ACT_ERRNO", "defaultAction": "SCMP_ACT_ALLOW"}', "calls.json"),
    (b" " * (256 * 1024) + b"{}", "more than 262144 bytes"),
    ({}, "defaultAction: no action"),
    ({"defaultAction": None}, "defaultAction: no action"),
    ({"defaultAction": "scmp_act_errno"}, "not carried out"),
    ({"defaultAction": "SCMP_ACT_TRACE"}, "SCMP_ACT_TRACE is not carried out"),
    ({"defaultAction": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY is not carried out"),
    (PLAIN | {"listenerPath": "/run/x"}, "listenerPath"),
    (PLAIN | {"flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}, "SPEC_ALLOW"),
    (PLAIN | {"architectures": ["SCMP_ARCH_AARCH64"]}, "other machines"),
    (PLAIN | {"archMap": [{"architecture": "SCMP_ARCH_S390X"}]}, "other machines"),
    (PLAIN | {"archMap": [7]}, "not an object"),
    (PLAIN | {"syscalls": "read"}, "is a list"),
    (PLAIN | {"syscalls": {"read": 1}}, "is a list"),
    (PLAIN | {"syscalls": ["read"]}, "not an object"),
    (rule(names=[]), "names no call"),
    (rule(names=["Read"]), "no name of a system call"),
    (rule(names=["read\n"]), "no name of a system call"),
    (rule(names=[3]), "no word"),
    (rule(action="SCMP_ACT_TRACE"), "SCMP_ACT_TRACE is not carried out"),
    (rule(action="SCMP_ACT_NOTIFY"), "SCMP_ACT_NOTIFY is not carried out"),
    (rule(action="SCMP_ACT_PERMIT"), "SCMP_ACT_PERMIT is not carried out"),
    (rule(action=None), "no action"),
    (rule(priority=1), "'priority'"),
    (rule(action="SCMP_ACT_ERRNO", errnoRet=0), "from 1 to"),
    (PLAIN | {"defaultErrnoRet": 0}, "from 1 to"),
    (rule(errnoRet=-1), "no number"),
    (rule(excludes={"minKernel": "5.0"}), "excludes.minKernel"),
    (rule(includes={"minKernel": "new"}), "minKernel"),
    (rule(includes={"groups": []}), "'groups'"),
    (condition(op="SCMP_CMP_LIKE"), "no comparison"),
    (condition(index=6), "0 to 5"),
    (condition(index=True), "no number"),
    (condition(value="1"), "no number"),
    (condition(mask=1), "'mask'"),
    (rule(args=[{"value": 1, "op": "SCMP_CMP_EQ"}]), "0 to 5"),
    (rule(args=[{"index": 0, "value": v, "op": "SCMP_CMP_NE"} for v in (1, 2)]), "join by 'or'"),
    (
        PLAIN | {"syscalls": [*PLAIN["syscalls"], {"names": ["read"], "action": "SCMP_ACT_KILL"}]},
        "read stands in a rule that lets it through and in one that refuses it",
    ),
]


@pytest.mark.parametrize(("body", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_is_odd_is_refused_with_the_reason(body: Any, says: str) -> None:
    with pytest.raises(Malformed) as refused:
        parsed(body)
    assert refused.value.code == "seccomp_profile"
    assert refused.value.message.startswith("calls.json: ")
    assert says in refused.value.message


def test_a_machine_without_a_table_has_none() -> None:
    with pytest.raises(Malformed):
        parsed(PLAIN, "s390x")
