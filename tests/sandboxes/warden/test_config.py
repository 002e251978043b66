"""What a warden is told."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.sandboxes.warden.config import config_here, read_config, write_config

CONFIG = config_here(
    "/srv/home", {AgentId("one"): 5001}, 5000, protected=("/opt/code",), canary="/srv/home/state/canary"
)


def test_what_is_written_reads_back() -> None:
    assert read_config(write_config(CONFIG)) == CONFIG
    filtered = dataclasses.replace(CONFIG, filters={AgentId("one"): ("/etc/calls.json", "0" * 64)})
    assert read_config(write_config(filtered)) == filtered


@pytest.mark.parametrize(
    "change",
    [
        {"agents": {"one": 0}},
        {"agents": {"one": 5000}},
        {"agents": {"one": 7, "two": 7}},
        {"agents": {"one": "7"}},
        {"gateway_uid": "root"},
        {"home": "srv/home"},
        {"single": True},
        {"single": 1},
        {"single": True, "agents": {"one": 5000, "two": 5001}},
        {"single": True, "agents": {"one": 0}, "gateway_uid": 0},
        {"more": 1},
        {"bridged": ["two"]},
        {"bridged": "one"},
        {"bridged": None},
        {"protected": 1},
        {"filters": None},
        {"filters": {"one": "/f"}},
        {"filters": {"one": ["f", "0" * 64]}},
        {"filters": {"one": ["/f", 7]}},
        {"filters": {"two": ["/f", "0" * 64]}},
        {"on_host": "one"},
        {"on_host": ["two"]},
        {"on_host": [7]},
    ],
)
def test_bad_configuration_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        read_config(json.dumps(json.loads(write_config(CONFIG)) | change))


def test_a_single_account_is_one_for_all() -> None:
    single = config_here("/srv/home", {AgentId("one"): 5000, AgentId("two"): 5000}, 5000, canary="/srv/home/canary")
    assert single.single
    assert not CONFIG.single
    assert read_config(write_config(single)) == single
    with pytest.raises(Malformed):
        read_config(json.dumps(json.loads(write_config(single)) | {"single": False}))


def test_who_may_have_a_raw_bridge_is_told_at_the_start() -> None:
    assert CONFIG.bridged == frozenset()
    told = dataclasses.replace(CONFIG, bridged=frozenset({AgentId("one")}))
    assert read_config(write_config(told)) == told


def test_who_is_on_the_bare_host_reads_back_and_has_an_account_of_its_own() -> None:
    bare = dataclasses.replace(CONFIG, on_host=frozenset({AgentId("one")}))
    assert read_config(write_config(bare)) == bare
    single = config_here("/srv/home", {AgentId("one"): 5000}, 5000, canary="/srv/home/canary")
    assert single.single
    with pytest.raises(Malformed) as refused:
        read_config(write_config(dataclasses.replace(single, on_host=frozenset({AgentId("one")}))))
    assert "account of its own" in refused.value.message


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(CONFIG)])
def test_missing_field_is_refused(name: str) -> None:
    body = json.loads(write_config(CONFIG))
    del body[name]
    with pytest.raises(Malformed):
        read_config(json.dumps(body))
