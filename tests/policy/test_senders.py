"""Who a Signal sender is."""

from __future__ import annotations

import pytest

from bascule.core.errors import Malformed
from bascule.policy.senders import (
    Sender,
    group_admits,
    identify,
    is_listed,
    parse_entry,
    parse_number,
    parse_target,
    parse_uuid,
)

UUID = "123e4567-e89b-12d3-a456-426614174000"


def test_numbers_and_ids_have_one_spelling() -> None:
    assert parse_number(" +1 (555) 010-0000 ") == "+15550100000"
    assert [parse_number(text) for text in ("15550100000", "+1234", "+0123456", "+1x5550100", "")] == [None] * 5
    assert parse_uuid(UUID.upper()) == parse_uuid(UUID.replace("-", "")) == UUID
    assert [parse_uuid(text) for text in ("abcd-1234", "", UUID + "0")] == [None] * 3


def test_a_targets_group_id_keeps_its_case() -> None:
    assert parse_target("signal:group:AbC=") == "group:AbC="
    assert parse_target("signal:15550100000") == "+15550100000"
    assert parse_target(UUID.upper()) == UUID
    for text in ("uuid:15550100000", "group:", "nobody", ""):
        with pytest.raises(Malformed):
            parse_target(text)


def test_list_entries() -> None:
    written = ["*", "signal:+15550100000", f"uuid:{UUID}", UUID]
    assert [parse_entry(text) for text in written] == ["*", "+15550100000", f"uuid:{UUID}", f"uuid:{UUID}"]
    for text in ("uuid:", "uuid:+15550100000", "pat", "**"):
        with pytest.raises(Malformed):
            parse_entry(text)


def test_a_sender_with_a_number_is_found_by_its_id_too() -> None:
    sender = identify("+15550100000", UUID)
    assert sender == Sender("+15550100000", UUID)
    assert is_listed(sender, [f"uuid:{UUID}"])
    assert is_listed(sender, ["+15550100000"])
    assert not is_listed(sender, ["+15550100001"])
    assert not is_listed(sender, [])
    assert identify(None, "x") is None
    assert not is_listed(Sender(), ["", "uuid:"])


def test_a_group_policy_nobody_knows_admits_nobody() -> None:
    sender = Sender("+15550100000")
    assert group_admits("open", sender, [])
    assert group_admits("allowlist", sender, ["*"])
    assert not group_admits("disabled", sender, ["*"])
    assert not group_admits("Open", sender, ["*"])
