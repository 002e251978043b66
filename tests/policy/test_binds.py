"""Mounts that may never be, and variables that never go along."""

from __future__ import annotations

import pytest

from bascule.policy.binds import Bind, BindRules, bind_problem, filter_env, parse_bind


def test_a_mount_is_taken_apart() -> None:
    assert parse_bind("/a:/b:ro") == Bind("/a", "/b", "ro")
    assert parse_bind("/a:/b") == Bind("/a", "/b")
    assert [parse_bind(spec) for spec in ("/a", "", ":/b", "/a:")] == [None] * 4


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("/a", "malformed"),
        ("/a\0:/b", "malformed"),
        ("a:/b", "non_absolute"),
        ("/a:b", "non_absolute"),
        ("/etc/x:/b", "targets"),
        ("/x/../etc:/b", "targets"),
        ("/var:/b", "covers"),
        ("/home/me:/b", "covers"),
        ("/home/me/.ssh/id:/b", "targets"),
        ("/home/real/.ssh:/b", "targets"),
        ("/data/link/x:/b", "targets"),
        ("/srv/x:/b", "outside_allowed_roots"),
        ("/data/x:/workspace/y", "reserved_target"),
        ("/data/x:/workspace", "reserved_target"),
    ],
)
def test_a_mount_is_refused_for_the_first_reason(spec: str, kind: str) -> None:
    links = {"/data/link": "/proc/1", "/home/me": "/home/real"}
    problem = bind_problem(spec, BindRules(("/home/me",), links, ("/data",)))
    assert problem is not None
    assert problem.kind == kind


def test_an_ordinary_mount_passes() -> None:
    assert bind_problem("/data/x:/mnt:ro", BindRules(roots=("/data",))) is None
    assert bind_problem("/srv/x:/mnt", BindRules()) is None
    assert bind_problem("/data/x:/workspace", BindRules(reserved_targets=True)) is None


def test_secrets_and_loader_variables_stay_outside() -> None:
    env = {"LANG": "C", "FOO": "1", "OPENAI_API_KEY": "x", "LD_PRELOAD": "x", "GIT_SSH_COMMAND": "x", "PYTHONPATH": "x"}
    allowed, blocked = filter_env(env)
    assert allowed == {"LANG": "C", "FOO": "1"}
    assert set(blocked) == {"OPENAI_API_KEY", "LD_PRELOAD", "GIT_SSH_COMMAND", "PYTHONPATH"}
    assert filter_env(env, strict=True)[0] == {"LANG": "C"}
