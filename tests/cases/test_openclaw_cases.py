"""Every known case of OpenClaw's behaviour: it holds here, or one list says why it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cases.runners import RUNNERS, agrees, answer

HERE = Path(__file__).parent


def read(name: str) -> Any:
    return json.loads((HERE / name).read_text("utf-8"))


CASES: dict[str, Any] = {case["id"]: case for case in read("openclaw.json")["cases"]}
DIFFERENCES: dict[str, str] = read("differences.json")
NOT_BUILT: dict[str, str] = read("not_built.json")
SAME = sorted(set(CASES) - set(DIFFERENCES) - set(NOT_BUILT))


@pytest.mark.parametrize("name", SAME)
def test_bascule_answers_as_openclaw_does(name: str) -> None:
    got = answer(CASES[name])
    assert agrees(CASES[name], got), got


@pytest.mark.parametrize("name", sorted({*DIFFERENCES, *NOT_BUILT}))
def test_what_stands_in_a_list_really_differs(name: str) -> None:
    assert not agrees(CASES[name], answer(CASES[name]))


def test_every_case_stands_in_exactly_one_place() -> None:
    assert len(CASES) == 318
    assert not set(DIFFERENCES) & set(NOT_BUILT)
    assert set(DIFFERENCES) | set(NOT_BUILT) <= set(CASES)
    assert {case["area"] for case in CASES.values()} == set(RUNNERS)


def test_every_exception_has_a_reason() -> None:
    assert all(len(reason) > 20 for reason in (*DIFFERENCES.values(), *NOT_BUILT.values()))
