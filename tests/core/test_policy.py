"""A policy's own words about itself."""

from __future__ import annotations

from dataclasses import fields, replace

from bascule.core.ids import AgentId
from bascule.core.policy import Operator, Policy


def test_the_accounts_of_its_people_are_all_named() -> None:
    assert "users" in {field.name for field in fields(Operator)}
    nobody = Policy("v", {}, AgentId("main"))
    assert nobody.users == ()
    people = {name: Operator(name, users=users) for name, users in (("pat", ("pat", "pat-adm")), ("kim", ()))}
    assert replace(nobody, people=people).users == ("pat", "pat-adm")
