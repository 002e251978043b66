"""Signal's lists must fit its policy."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bascule.policy.schema.channels import Signal


@pytest.mark.parametrize(
    "value",
    [
        {"dmPolicy": "open"},
        {"dmPolicy": "open", "allowFrom": ("+15550100000",)},
        {"dmPolicy": "allowlist"},
        {"dmPolicy": "allowlist", "allowFrom": ()},
        {"dmPolicy": "everyone"},
        {"accounts": {"x": {"dmPolicy": "open"}}},
    ],
)
def test_nobody_opens_a_channel_by_accident(value: object) -> None:
    with pytest.raises(ValidationError):
        Signal.model_validate(value)


def test_what_is_said_twice_is_accepted() -> None:
    assert Signal.model_validate({"dmPolicy": "open", "allowFrom": ("*",)}).dm_policy == "open"
    assert Signal.model_validate({"dmPolicy": "allowlist", "allowFrom": ("+15550100000",)}).allow_from
    assert Signal.model_validate({"dmPolicy": "disabled"}).allow_from is None
