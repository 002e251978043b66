"""T02: the agent reads what is not its own. Every target first gives its canary to a reader without the wall."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.living import Living, content, effect, living

pytestmark = pytest.mark.live

CANARY = "canary-" + secrets.token_hex(8)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(tmp_path_factory.mktemp("t02") / "home") as made:
        (made.root("bruba-guru") / "diary.md").write_text(CANARY)
        (made.home / "prompts" / "secret.md").write_text(CANARY)
        (made.home / "state" / "secret").write_text(CANARY)
        yield made


def targets(made: Living) -> dict[str, Path]:
    return {
        "another agent": made.root("bruba-guru") / "diary.md",
        "a prompt": made.home / "prompts" / "secret.md",
        "gateway state": made.home / "state" / "secret",
    }


NAMES = ["another agent", "a prompt", "gateway state"]


@pytest.mark.parametrize("name", NAMES)
def test_without_the_wall_the_canary_is_there_to_be_read(house: Living, name: str) -> None:
    assert targets(house)[name].read_text() == CANARY


@pytest.mark.parametrize("name", NAMES)
def test_no_tool_brings_it_back(house: Living, name: str) -> None:
    path = targets(house)[name]
    for report in (
        house.call("read", {"path": str(path)}),
        house.run(f"cat {path}"),
        house.run(f"grep -r canary {path.parent}"),
        house.run(f"cat < {path}"),
        house.run(f"find {path} -type f"),
        house.call("edit", {"path": str(path), "oldText": CANARY, "newText": "x"}),
    ):
        assert effect(report) == "deny"
        assert CANARY not in content(report)
    assert path.read_text() == CANARY
