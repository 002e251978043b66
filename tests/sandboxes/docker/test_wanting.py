"""When two containers are the same, and what the warden is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.sandboxes.boxed import ONE, policies

from bascule.core.errors import Unavailable
from bascule.sandboxes.docker.wanting import Wanting, is_bridged

WANTING = Wanting("sha256:" + "0" * 64, 5001, has_way=False, tools_safe=True)


def test_the_digest_tells_apart_what_is_made_otherwise(tmp_path: Path) -> None:
    rules = policies(tmp_path)[ONE]
    plain = WANTING.digest(rules)
    assert plain == WANTING.digest(rules)
    others = [replace(WANTING, image="x"), replace(WANTING, uid=7), replace(WANTING, has_way=True)]
    others.append(replace(WANTING, tools_safe=False))
    bridged = policies(tmp_path, "unsafe_bridge")[ONE]
    found = [plain, WANTING.digest(bridged, lambda: ()), *(other.digest(rules) for other in others)]
    assert len(set(found)) == len(found)
    kept = replace(
        rules, sandbox=replace(rules.sandbox, warm=True, docker=replace(rules.sandbox.docker, age_seconds=1))
    )
    assert WANTING.digest(kept) == plain


def test_on_a_bridge_another_public_address_makes_another_container_and_a_private_one_does_not(tmp_path: Path) -> None:
    rules, none = policies(tmp_path, "unsafe_bridge")[ONE], policies(tmp_path)[ONE]
    before = WANTING.digest(rules, lambda: ("127.0.0.0/8", "192.168.1.7/32"))
    assert WANTING.digest(rules, lambda: ("127.0.0.0/8", "10.9.9.9/32")) == before
    later = WANTING.digest(rules, lambda: ("127.0.0.0/8", "11.22.33.1/32"))
    assert later != before
    assert WANTING.digest(rules, lambda: ("11.22.33.1/32",)) == later
    assert WANTING.digest(none, lambda: ("11.22.33.1/32",)) == WANTING.digest(none, lambda: ())


def test_where_nobody_knows_the_addresses_there_is_no_bridge(tmp_path: Path) -> None:
    def unknown() -> tuple[str, ...]:
        raise OSError(13, "Permission denied")

    with pytest.raises(Unavailable) as refused:
        WANTING.digest(policies(tmp_path, "unsafe_bridge")[ONE], unknown)
    assert refused.value.code == "bridge_rules"
    assert WANTING.digest(policies(tmp_path)[ONE], unknown)


def test_only_policys_word_asks_for_a_bridge(tmp_path: Path) -> None:
    for network, expected in (("none", False), ("proxy", False), ("unsafe_bridge", True)):
        rules = policies(tmp_path, network)[ONE]
        request = WANTING.request(rules, "0" * 32, "0" * 64, ())
        assert (request.bridge, is_bridged(rules), request.proxy) == (expected, expected, False)
