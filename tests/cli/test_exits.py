from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.cli.exits import Exit, of_batch, of_report


def report(effect: str, state: str | None = None, ok: bool | None = None, seq: int | None = 1) -> dict[str, Any]:
    return {
        "decision": {"effect": effect},
        "approval": None if state is None else {"state": state},
        "outcome": None if ok is None else {"ok": ok},
        "ledger": {"seq": seq},
    }


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (report("allow", ok=True), 0),
        (report("allow", ok=False), 1),
        (report("allow"), 1),
        (report("allow", seq=None), 0),
        (report("ask", seq=None), 3),
        (report("deny", seq=None), 4),
        (report("deny"), 4),
        (report("ask", "pending"), 3),
        (report("ask", "denied"), 4),
        (report("ask", "expired"), 4),
        (report("ask", "cancelled"), 4),
        (report("ask", "approved"), 1),
        (report("ask", "consumed", ok=True), 0),
        (report("ask", "consumed", ok=False), 1),
        (report("deny", "consumed"), 4),
    ],
)
def test_of_one_call(found: dict[str, Any], status: int) -> None:
    assert of_report(found) == status


@given(st.lists(st.sampled_from(Exit)))
def test_of_a_batch_it_is_the_first_of_2_4_3_1_0(statuses: list[Exit]) -> None:
    wanted = next((number for number in (2, 4, 3, 1, 0) if number in statuses), 0)
    assert of_batch(iter(statuses)) == wanted
