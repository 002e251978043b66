"""What a gateway may ask a program to be given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bascule.core.errors import Malformed
from bascule.core.outfit import Outfit
from bascule.sandboxes.warden.outfits import further_scratches, main_scratch, outfit, outfit_json

GIVEN = Outfit((("TZ", "UTC"), ("LANG", "C")), (("/tmp", 1 << 20), ("/scratch", 5)))


def test_what_is_written_is_read() -> None:
    assert outfit(json.loads(json.dumps(outfit_json(GIVEN)))) == GIVEN


@pytest.mark.parametrize(
    "change",
    [
        {"environment": {"LD_PRELOAD": "/x"}},
        {"environment": {"PATH": "/x"}},
        {"environment": {"A": 3}},
        {"environment": {"A": "x\0"}},
        {"environment": {"A=B": "x"}},
        {"environment": {f"A{number}": "x" for number in range(40)}},
        {"environment": []},
        {"scratches": {"/usr": 1}},
        {"scratches": {"/workspace/x": 1}},
        {"scratches": {"/run/bascule": 1}},
        {"scratches": {"/": 1}},
        {"scratches": {"/x/../usr": 1}},
        {"scratches": {"/x": 0}},
        {"scratches": {"/x": "1"}},
        {"more": {}},
    ],
)
def test_what_may_not_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        outfit({"environment": {}, "scratches": {}, **change})


def test_scratch_places_are_never_larger_than_memory() -> None:
    assert main_scratch(GIVEN, 64 << 20, 1 << 30) == 1 << 20
    assert main_scratch(Outfit(), 64 << 20, 3) == 3
    assert further_scratches(GIVEN, 3) == {"/scratch": 3}
