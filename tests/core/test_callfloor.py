"""No profile lets through more than both it and Docker's default do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.callfloor import FAMILIES, NAMESPACE_FLAGS, PASSED, engine_profile, holds, narrowed
from bascule.core.callprofile import MASKED, Condition, Profile, Rule

ALLOW = "SCMP_ACT_ALLOW"
FORBIDDEN = (
    "bpf",
    "keyctl",
    "mount",
    "unshare",
    "setns",
    "ptrace",
    "personality",
    "io_uring_setup",
    "clone3",
    "pkey_alloc",
)
NAMES = st.sampled_from(("read", "mkdir", "uname", "clone", "socket", *FORBIDDEN))
OPS = st.sampled_from(("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))
CONDITIONS = st.builds(
    lambda index, op, value, other: Condition(index, f"SCMP_CMP_{op}", value, other),
    st.integers(0, 2), OPS, st.sampled_from((0, 1, 2, 16, 40, NAMESPACE_FLAGS, NAMESPACE_FLAGS | 256)), st.integers(0, 2),
)  # fmt: skip
RULES = st.builds(
    lambda names, action, conditions: Rule(tuple(names), action, None, tuple(conditions)),
    st.lists(NAMES, min_size=1, max_size=4),
    st.sampled_from((ALLOW, "SCMP_ACT_LOG", "SCMP_ACT_KILL")),
    st.lists(CONDITIONS, max_size=2, unique_by=lambda condition: condition.index),
)
VALUES = st.sampled_from((0, 1, 2, 3, 16, 40, 256, 0x10000000, NAMESPACE_FLAGS))


def passes(rules: Any, name: str, arguments: tuple[int, ...]) -> bool:
    return any(
        rule.passes and name in rule.names and all(holds(c, arguments[c.index]) for c in rule.conditions)
        for rule in rules
    )


def by_default(name: str, arguments: tuple[int, ...]) -> bool:
    """Docker's own default, as far as these calls go."""
    if name == "clone":
        return not arguments[0] & NAMESPACE_FLAGS
    return name in PASSED or (name == "socket" and arguments[0] in FAMILIES)


@given(st.lists(RULES, max_size=5), NAMES, st.tuples(VALUES, VALUES, VALUES))
def test_what_passes_passes_both(rules: list[Rule], name: str, arguments: tuple[int, ...]) -> None:
    left = narrowed(Profile("SCMP_ARCH_X86_64", "SCMP_ACT_ERRNO", None, tuple(rules)))
    if passes(left, name, arguments):
        assert passes(rules, name, arguments)
        assert by_default(name, arguments)


@given(st.lists(RULES, max_size=5), NAMES, st.tuples(VALUES, VALUES, VALUES))
def test_nothing_is_lost_that_both_let_through_but_flags_of_clone(
    rules: list[Rule], name: str, arguments: tuple[int, ...]
) -> None:
    left = narrowed(Profile("SCMP_ARCH_X86_64", "SCMP_ACT_ERRNO", None, tuple(rules)))
    if name != "clone" and passes(rules, name, arguments) and by_default(name, arguments):
        assert passes(left, name, arguments)


def test_a_rule_that_refuses_stays_as_it_is() -> None:
    rule = Rule(("bpf", "read"), "SCMP_ACT_KILL", None, (Condition(0, "SCMP_CMP_EQ", 1),))
    assert narrowed(Profile("SCMP_ARCH_X86_64", "SCMP_ACT_ERRNO", None, (rule,))) == (rule,)


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ((), Condition(0, MASKED, NAMESPACE_FLAGS)),
        ((Condition(0, MASKED, NAMESPACE_FLAGS),), Condition(0, MASKED, NAMESPACE_FLAGS)),
        ((Condition(0, MASKED, NAMESPACE_FLAGS | 256),), Condition(0, MASKED, NAMESPACE_FLAGS | 256)),
        ((Condition(0, MASKED, 256),), None),
        ((Condition(0, MASKED, NAMESPACE_FLAGS, 0x20000000),), None),
        ((Condition(0, "SCMP_CMP_NE", 0),), None),
    ],
)
def test_a_clone_makes_no_namespace(own: tuple[Condition, ...], left: Condition | None) -> None:
    rules = narrowed(Profile("SCMP_ARCH_X86_64", "SCMP_ACT_ERRNO", None, (Rule(("clone",), ALLOW, None, own),)))
    assert [rule.conditions for rule in rules] == ([] if left is None else [(left,)])


def test_an_engine_is_given_one_architecture_and_every_word() -> None:
    rules = (
        Rule(("read", "bpf"), ALLOW, None, (), "4.8"),
        Rule(("kill",), "SCMP_ACT_ERRNO", 38, (Condition(1, "SCMP_CMP_GT", 9),)),
    )
    assert engine_profile(Profile("SCMP_ARCH_X86_64", "SCMP_ACT_KILL", None, rules)) == {
        "defaultAction": "SCMP_ACT_KILL",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"names": ["read"], "action": ALLOW, "includes": {"minKernel": "4.8"}},
            {
                "names": ["kill"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 38,
                "args": [{"index": 1, "op": "SCMP_CMP_GT", "value": 9, "valueTwo": 0}],
            },
        ],
    }
    assert engine_profile(Profile("SCMP_ARCH_X86_64", "SCMP_ACT_ERRNO", 38, ()))["defaultErrnoRet"] == 38
