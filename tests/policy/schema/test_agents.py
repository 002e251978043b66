"""Agents: ids, and the two forms of the section."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bascule.policy.schema.agents import Agents


def test_ids_are_lower_case_afterwards() -> None:
    agents = Agents.model_validate({"list": ({"id": "Bruba-Main"},)})
    assert agents.list_ is not None
    assert agents.list_[0].id == "bruba-main"


@pytest.mark.parametrize(
    "value",
    [
        {"list": ({"id": "a"}, {"id": "a"})},
        {"list": ({"id": "a"}, {"id": "A"})},
        {"list": (), "entries": {}},
        {"entries": {"A": {}}},
        {"entries": {"a/b": {}}},
        {"list": ({"id": ""},)},
        {"defaults": {"subagents": {"maxSpawnDepth": 6}}},
    ],
)
def test_one_agent_has_one_section(value: object) -> None:
    with pytest.raises(ValidationError):
        Agents.model_validate(value)
