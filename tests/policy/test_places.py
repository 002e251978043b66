"""Where agents lie."""

from __future__ import annotations

from bascule.policy.places import CARRIED, Places
from bascule.policy.schema.root import INERT, OURS, Config


def test_an_agents_directory_lies_in_the_home() -> None:
    assert Places("/h").agent_root("a") == "/h/agents/a"


def test_every_section_named_anywhere_is_a_section_of_the_schema() -> None:
    known = {info.alias for info in Config.model_fields.values()}
    assert known >= CARRIED
    assert known >= INERT
    assert known >= OURS
    assert not INERT & CARRIED
