"""What a program word means."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.ids import AgentId
from bascule.core.paths import Layout
from bascule.core.plan import ProgramKind
from bascule.core.policy import AgentPolicy, ExecPolicy, Quota, SandboxPolicy
from bascule.host.programs import HostPrograms, classify


def executable(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


ELF = b"\x7fELF rest"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    root = tmp_path.resolve()
    executable(root / "bin" / "tool", ELF)
    executable(root / "bin" / "busybox", ELF)
    (root / "bin" / "sh").symlink_to("busybox")
    (root / "bin" / "alias").symlink_to("tool")
    executable(root / "bin" / "script", b"#!/bin/sh -e\necho\n")
    executable(root / "bin" / "env-script", b"#! /usr/bin/env python3\n")
    executable(root / "bin" / "relative", b"#!sh\n")
    executable(root / "bin" / "text", b"echo\n")
    (root / "bin" / "plain").write_bytes(ELF)
    (root / "bin" / "folder").mkdir()
    executable(root / "agents" / "one" / "tools" / "own.sh", b"#!/bin/sh\n")
    executable(root / "agents" / "one" / "workspace" / "planted", ELF)
    (root / "agents" / "one" / "tools" / "link").symlink_to("../workspace/planted")
    os.mkfifo(root / "bin" / "fifo")
    return root


def policy_of(place: Path) -> AgentPolicy:
    layout = Layout(str(place), f"{place}/agents/one")
    return AgentPolicy(AgentId("one"), "one", "", {}, ExecPolicy(), SandboxPolicy(), Quota(), layout)


def look(place: Path, word: str) -> tuple[str, str]:
    found = HostPrograms((f"{place}/bin",)).look(word.format(place), f"{place}/agents/one")
    return found.kind.value, found.path.removeprefix(str(place))


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("tool", ("native", "/bin/tool")),
        ("alias", ("native", "/bin/tool")),
        ("{}/bin/tool", ("native", "/bin/tool")),
        ("{}/x/../bin/tool", ("native", "/bin/tool")),
        ("sh", ("multicall", "/bin/busybox")),
        ("busybox", ("multicall", "/bin/busybox")),
        ("script", ("script", "/bin/script")),
        ("env-script", ("script", "/bin/env-script")),
        ("relative", ("missing", "")),
        ("text", ("missing", "")),
        ("plain", ("missing", "")),
        ("folder", ("missing", "")),
        ("fifo", ("missing", "")),
        ("none", ("missing", "")),
        ("", ("missing", "")),
        ("..", ("missing", "")),
        ("a\0b", ("missing", "")),
        ("tools/own.sh", ("script", "/agents/one/tools/own.sh")),
        ("./tools/own.sh", ("script", "/agents/one/tools/own.sh")),
        ("/workspace/tools/own.sh", ("script", "/agents/one/tools/own.sh")),
        ("{}/agents/one/tools/own.sh", ("script", "/agents/one/tools/own.sh")),
        ("tools/link", ("missing", "")),
        ("workspace/planted", ("missing", "")),
        ("own.sh", ("missing", "")),
    ],
)
def test_word(place: Path, word: str, wanted: tuple[str, str]) -> None:
    assert look(place, word) == wanted


def test_hash_is_of_the_content_and_follows_it(place: Path) -> None:
    programs, tool = HostPrograms((f"{place}/bin",)), place / "bin" / "tool"
    assert programs.look("tool", "/x").sha256 == hashlib.sha256(ELF).hexdigest()
    tool.write_bytes(ELF + b"more")
    assert programs.look("tool", "/x").sha256 == hashlib.sha256(ELF + b"more").hexdigest()


def test_a_system_program_is_hashed_in_another_thread_and_then_known(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, tool = HostPrograms((f"{place}/bin",)), place / "bin" / "tool"
    hashed: list[bool] = []
    read = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        hashed.append(threading.current_thread() is threading.main_thread())
        return read(descriptor, size, offset)

    monkeypatch.setattr("bascule.host.programs.os.pread", counted)
    assert asyncio.run(programs.resolve("tool", policy_of(place))).sha256 == hashlib.sha256(ELF).hexdigest()
    once = len(hashed)
    assert asyncio.run(programs.resolve("tool", policy_of(place))).sha256 == hashlib.sha256(ELF).hexdigest()
    assert (len(hashed), any(hashed)) == (once, False)
    tool.write_bytes(ELF + b"more")
    assert asyncio.run(programs.resolve("tool", policy_of(place))).sha256 == hashlib.sha256(ELF + b"more").hexdigest()
    assert (len(hashed) > once, any(hashed)) == (True, False)


def test_a_first_place_that_is_not_hashed_yet_is_not_passed_over(place: Path) -> None:
    executable(place / "second" / "tool", ELF + b"other")
    programs = HostPrograms((f"{place}/bin", f"{place}/second"))
    asyncio.run(programs.resolve(f"{place}/second/tool", policy_of(place)))
    assert asyncio.run(programs.resolve("tool", policy_of(place))).path == f"{place}/bin/tool"


def test_environment_has_no_say(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{place}/bin")
    assert HostPrograms().look("tool", "/x").kind is ProgramKind.MISSING


def test_resolve_uses_the_agents_directory(place: Path) -> None:
    found = asyncio.run(HostPrograms().resolve("tools/own.sh", policy_of(place)))
    assert (found.kind, found.interpreter) == (ProgramKind.SCRIPT, "/bin/sh")


@given(st.text(max_size=40))
def test_never_raises(word: str) -> None:
    assert HostPrograms(("/none",)).look(word, "/none/agents/one").asked == word


@given(st.binary(max_size=60))
def test_only_programs_are_programs(head: bytes) -> None:
    kind = classify("x", "/bin/x", "0" * 64, head).kind
    assert kind is ProgramKind.MISSING or head.startswith((b"\x7fELF", b"#!"))
