"""Answers on a real gateway: to what was shown, under the policy it was shown under, by whoever may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.living import Living, effect, living

from bascule.core.errors import BasculeError

pytestmark = pytest.mark.live

TERMS = {"extent": "exact", "this_session": False, "minutes": 60, "uses": None, "args": None, "under": None}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(tmp_path_factory.mktemp("answering") / "home") as made:
        yield made


def ask(house: Living, path: str, **options: Any) -> dict[str, Any]:
    report = house.call("read", {"path": path}, **options)
    assert effect(report) == "ask"
    return dict(house.client.request("approvals_show", ref=report["approval"]["id"]))


def refused(house: Living, method: str, **params: Any) -> str:
    with pytest.raises(BasculeError) as caught:
        house.client.request(method, **params)
    return caught.value.code


def test_several_are_answered_as_they_were_shown_or_not_at_all(house: Living) -> None:
    one, two = ask(house, "/etc/hostname"), ask(house, "/etc/hosts")
    items = ",".join(f"{each['id']}={each['digest']}" for each in (one, two))
    assert refused(house, "approvals_decide", answer="approve", items=items[:-1] + "x") == "digest_differs"
    assert refused(house, "approvals_decide", answer="approve", items="*=*") == "approval_reference"
    assert refused(house, "approvals_decide", answer="maybe", items=items) == "approval_answer"
    assert refused(house, "approvals_decide", answer="approve", items=one["id"]) == "approval_items"
    assert [row["state"] for row in house.client.request("approvals_list", everything=False)] == ["pending", "pending"]
    done = house.client.request("approvals_decide", answer="deny", items=items)
    assert [row["state"] for row in done] == ["denied", "denied"]
    late = house.client.request("approvals_decide", answer="approve", items=items)
    assert [row["state"] for row in late] == ["denied", "denied"]


def test_a_question_of_another_policy_can_only_be_denied_and_its_grants_are_gone(house: Living) -> None:
    granted = house.client.request("approvals_grant", ref=ask(house, "/etc/hostname")["id"], **TERMS)
    assert effect(house.call("read", {"path": "/etc/hostname"})) == "allow"
    left = ask(house, "/etc/debian_version")
    house.stop()
    house.change("bascule.json5", lambda text: text + "// an edit\n")
    house.start()
    assert house.client.request("grants_list", everything=False) == []
    ended = house.client.request("grants_list", everything=True)
    assert [(row["id"], row["state"]) for row in ended] == [(granted["id"], "revoked")]
    assert refused(house, "approvals_approve", ref=left["id"]) == "approval_outdated"
    assert refused(house, "approvals_grant", ref=left["code"], **TERMS) == "approval_outdated"
    assert house.client.request("approvals_deny", ref=left["id"])["state"] == "denied"
    assert ask(house, "/etc/debian_version")["id"] != left["id"]
    assert effect(house.call("read", {"path": "/etc/hostname"})) == "ask"


def test_what_is_not_there_is_not_made_outside_and_that_is_said(house: Living) -> None:
    outside = house.home.with_name("new.txt")
    report = house.approved("write", {"path": str(outside), "content": "x"})
    assert report["outcome"]["ok"] is False
    assert "make it first" in report["outcome"]["content"]
    assert not outside.exists()
