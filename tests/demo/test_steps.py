"""Steps are data, and wrong data is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from demo.steps import DemoError, load, script

from bascule.runtime.providers.script import parse_script

STEP: dict[str, Any] = {
    "title": "t", "operator": "o", "call": {"tool": "read", "args": {"path": "$home/x", "list": ["$$a"]}}, "say": "s",
    "canary": {"text": "$token"}, "want": {"effect": "ran|failed", "canary": "seen"},
}  # fmt: skip


def written(path: Path, **changes: Any) -> Path:
    file = path / "steps.jsonl"
    file.write_text("# a comment\n\n" + json.dumps({**STEP, **changes}) + "\n")
    return file


def test_names_stand_for_places_and_tokens(tmp_path: Path) -> None:
    [step] = load(written(tmp_path), {"home": "/h", "token": "secret"})
    assert step.args == {"path": "/h/x", "list": ["$a"]}
    assert step.canary.text == "secret"
    assert step.effects == {"ran", "failed"}
    assert (step.answer, step.times) == ("no", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"wnat": {}},
        {"want": {"effect": "rna", "canary": "seen"}},
        {"want": {"effect": "ran", "canary": "lost"}},
        {"want": {"effect": "ran"}},
        {"canary": {"txet": "x"}},
        {"answer": "perhaps"},
        {"through": "telegram"},
        {"title": "$nobody"},
    ],
)
def test_what_is_no_step_is_refused_with_its_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DemoError, match=r"^steps\.jsonl:3: "):
        load(written(tmp_path, **changes), {"home": "", "token": ""})


def test_the_scripted_provider_plays_what_the_steps_say(tmp_path: Path) -> None:
    steps = load(written(tmp_path, times=3), {"home": "/h", "token": "x"})
    played = parse_script(script(steps), "main.jsonl")
    assert [len(line.calls) for line in played.lines] == [3, 0]
    assert [line.say for line in played.lines] == ["", "s"]
