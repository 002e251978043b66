"""Profiles are read once, by their owner's leave, and told by their digest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from bascule.core.errors import BasculeError
from bascule.host.callprofiles import pinned, profile_digest, with_digests, with_profiles
from bascule.host.policy_files import load

GOOD = b'{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}'
CONFIG = """{agents: {list: [
  {id: "one", sandbox: {backend: "docker", docker: {seccompProfile: "calls.json"}}},
  {id: "two", sandbox: {backend: "docker"}},
  {id: "three", sandbox: {backend: "bubblewrap", docker: {seccompProfile: "other.json"}}},
]}}"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path.resolve() / "home"
    made.mkdir()
    for name, content in (("bascule.json5", CONFIG.encode()), ("calls.json", GOOD)):
        (made / name).write_bytes(content)
        (made / name).chmod(0o644)
    return made


def test_every_container_has_the_profile_its_policy_names(home: Path) -> None:
    policy = load(home).policy
    digest = hashlib.sha256(GOOD).hexdigest()
    assert pinned(policy) == {"one": (f"{home}/calls.json", digest)}
    known = {name: rules.sandbox.docker.seccomp_digest for name, rules in policy.agents.items()}
    assert known == {"one": digest, "two": "", "three": ""}


def test_what_somebody_says_of_it_is_taken_as_said(home: Path) -> None:
    policy = load(home).policy
    assert pinned(with_digests(policy, {"one": "00", "two": "11"})) == {"one": (f"{home}/calls.json", "00")}
    assert pinned(with_digests(policy, {}))["one"] == (f"{home}/calls.json", "")  # type: ignore[index] # an id is a word


def spoil(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "link":
        path.rename(path.with_name("real.json"))
        path.symlink_to("real.json")
    elif how == "fifo":
        path.unlink()
        os.mkfifo(path)
    elif how == "writable":
        path.chmod(0o646)
    elif how == "large":
        path.write_bytes(b" " * (256 * 1024) + GOOD)
    else:
        path.write_bytes(GOOD.replace(b"SCMP_ACT_ERRNO", b"SCMP_ACT_ALLOW"))


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("missing", "seccomp_profile_missing"),
        ("link", "policy_file_unsafe"),
        ("fifo", "policy_file_unsafe"),
        ("writable", "policy_file_unsafe"),
        ("large", "seccomp_profile"),
        ("allowing", "seccomp_profile"),
    ],
)
def test_a_profile_that_cannot_be_believed_keeps_the_policy_from_loading(home: Path, how: str, code: str) -> None:
    load(home)
    spoil(home / "calls.json", how)
    with pytest.raises(BasculeError) as refused:
        load(home)
    assert (refused.value.code, f"{home}/calls.json" in refused.value.message) == (code, True)


def test_a_link_on_the_way_is_a_link(home: Path) -> None:
    (home / "real").mkdir()
    (home / "calls.json").rename(home / "real/calls.json")
    assert profile_digest(f"{home}/real/calls.json")
    (home / "way").symlink_to("real")
    with pytest.raises(BasculeError) as refused:
        profile_digest(f"{home}/way/calls.json")
    assert refused.value.code == "policy_file_unsafe"


def test_a_file_is_read_once_for_all(home: Path) -> None:
    two = """{id: "two", sandbox: {backend: "docker", docker: {seccompProfile: "./calls.json"}}}"""
    (home / "bascule.json5").write_text(CONFIG.replace("""{id: "two", sandbox: {backend: "docker"}}""", two))
    asked: list[str] = []

    def digest(path: str) -> str:
        asked.append(path)
        return "ab"

    found = pinned(with_profiles(load(home).policy, digest))
    assert found == dict.fromkeys(("one", "two"), (f"{home}/calls.json", "ab"))
    assert asked == [f"{home}/calls.json"]
