"""Which file a program word means: this machine's, or the one in the image."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import agent_policy

from bascule.app.programs import BoxPrograms
from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.plan import ProgramKind
from bascule.core.policy import AgentPolicy, Backend, SandboxPolicy

ELF = b"\x7fELF" + b"\0" * 60


class Image:
    """Looks programs up in a pretended image."""

    def __init__(self, found: tuple[str, str, bytes] | None = ("/usr/bin/x", "a" * 64, ELF)) -> None:
        self.found, self.asked = found, list[Sequence[str]]()

    async def look(self, _agent: AgentId, paths: Sequence[str]) -> tuple[str, str, bytes]:
        self.asked.append(paths)
        if self.found is None:
            raise Unavailable("docker_unreachable", "no engine")
        return self.found


def rules(backend: Backend) -> AgentPolicy:
    return agent_policy(sandbox=replace(SandboxPolicy(), backend=backend))


def resolved(image: Image, word: str, backend: Backend = Backend.DOCKER) -> tuple[str, ProgramKind, str]:
    found = asyncio.run(BoxPrograms(image.look).resolve(word, rules(backend)))
    return found.path, found.kind, found.sha256


@pytest.mark.parametrize(
    ("word", "paths"),
    [
        ("grep", ["/usr/bin/grep", "/bin/grep"]),
        ("/opt/x/../tool", ["/opt/tool"]),
    ],
)
def test_a_containers_program_is_the_images(word: str, paths: list[str]) -> None:
    image = Image()
    assert resolved(image, word) == ("/usr/bin/x", ProgramKind.NATIVE, "a" * 64)
    assert image.asked == [paths]


def test_without_containers_the_image_is_not_asked() -> None:
    image = Image()
    assert resolved(image, "true", Backend.BUBBLEWRAP)[0].endswith("/true")
    assert image.asked == []


@pytest.mark.parametrize("word", ["tools/x", "./tools/x", "/workspace/tools/x", "../x"])
def test_what_is_the_agents_own_lies_on_this_machine(word: str) -> None:
    image = Image()
    assert resolved(image, word)[1] is ProgramKind.MISSING
    assert image.asked == []


@pytest.mark.parametrize("word", ["", ".", "..", "a\0b", "x" * 5000])
def test_what_is_no_program_is_missing(word: str) -> None:
    image = Image()
    assert resolved(image, word)[1] is ProgramKind.MISSING
    assert image.asked == []


@pytest.mark.parametrize("found", [None, ("", "", b""), ("/usr/bin/x", "a" * 64, b"text")])
def test_what_the_image_does_not_have_is_missing(found: tuple[str, str, bytes] | None) -> None:
    assert resolved(Image(found), "grep")[1] is ProgramKind.MISSING


def test_scripts_and_multicall_programs_are_told_apart() -> None:
    assert resolved(Image(("/usr/bin/busybox", "b" * 64, ELF)), "ls")[1] is ProgramKind.MULTICALL
    assert resolved(Image(("/usr/bin/s", "b" * 64, b"#!/bin/sh\n")), "s")[1] is ProgramKind.SCRIPT
    assert not Path("/usr/bin/s").exists()
