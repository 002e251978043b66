"""The whole life of an installation, for real: accounts, unit, socket, boxes, and no trace of it afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.host.private_machine import outside

from bascule.host.site import HOME

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="installing is root's")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return outside("whole_life", tmp_path_factory.mktemp("layer"))


def test_it_says_everything_first_and_changes_nothing(life: dict[str, Any]) -> None:
    for thing in ("account bascule", "group bascule-operators", "member olga", "/etc/bascule", HOME, "bascule.service"):
        assert f"{thing}" in life["dry"]
    assert life["dry_changed"] == []


def test_it_installs_and_a_second_run_changes_nothing(life: dict[str, Any]) -> None:
    assert life["install"] == [0, ""]
    status, said, changed = life["again"]
    assert (status, changed) == (0, [])
    assert "already so" in said


def test_the_unit_starts_with_the_rights_it_names_and_says_when_it_serves(life: dict[str, Any]) -> None:
    assert life["running"]["ready"] == "READY=1"
    assert life["root"] == 0


def test_members_of_the_group_operate_and_others_do_not(life: dict[str, Any]) -> None:
    assert life["olga"]["status"] == 0
    assert "a.txt" in life["olga"]["said"]
    assert life["carl"]["status"] == 1
    assert "run_denied" in life["carl"]["said"]


def test_membership_is_asked_at_every_connection(life: dict[str, Any]) -> None:
    assert life["carl_joined"]["status"] == 0
    assert life["carl_left"]["status"] == 1


@pytest.mark.parametrize("who", ["agent_in_group", "gateway_in_group"])
def test_neither_agent_nor_gateway_gets_in_by_the_group(life: dict[str, Any], who: str) -> None:
    assert life[who]["status"] == 1
    assert "peer_refused" in life[who]["said"]


def test_an_agents_files_are_its_own_accounts(life: dict[str, Any]) -> None:
    made, agent = life["owner"]
    assert made == agent > 1_900_000_000


def test_the_gateway_has_no_right_left(life: dict[str, Any]) -> None:
    status = life["gateway"]
    assert "0" not in status["Uid"].split()
    assert {int(status[key], 16) for key in ("CapPrm", "CapEff", "CapBnd")} == {0}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("who", ["gateway", "agent"])
def test_neither_gateway_nor_agent_changes_what_governs(life: dict[str, Any], who: str) -> None:
    said = life["tried"][who]
    assert said.pop("read") == "done"
    assert set(said.values()) <= {"EACCES", "EROFS"}
    assert (said["write"], said["approvals"]) == ("EACCES", "EACCES")


def test_root_could(life: dict[str, Any]) -> None:
    assert life["control"] == {"write": None}


def test_the_gateway_is_shown_what_it_works_on(life: dict[str, Any]) -> None:
    assert sorted(life["shown"]) == ["accounts.json", "agents", "shared", "state"]


def test_modes_and_owners(life: dict[str, Any]) -> None:
    operators = life["operators"]
    assert life["modes"] == {
        "/etc/bascule": "0755 0 0",
        "/etc/bascule/bascule.json5": "0644 0 0",
        HOME: "0700 0 0",
        "/run/bascule": f"0750 0 {operators}",
        "/run/bascule/control.sock": f"0660 0 {operators}",
    }


def test_stopped_an_operator_is_told_who_can_start_it(life: dict[str, Any]) -> None:
    assert life["after_stop"]["status"] == 1
    assert "gateway_not_running" in life["after_stop"]["said"]


def test_uninstalled_only_the_data_is_left_and_shut(life: dict[str, Any]) -> None:
    assert life["left"] == []
    assert life["data_mode"] == "0o700"
    assert {"agents", "state"} <= set(life["data"])


def test_killed_in_the_middle_it_is_undone_without_a_trace(tmp_path: Path) -> None:
    found = outside("cut_short", tmp_path)
    assert found["points"] >= 4
    assert found["left"] == {}
    assert found["changed"]
    assert found["end"] == [0, []]
