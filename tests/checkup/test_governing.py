import os
from pathlib import Path

import pytest

from bascule.checkup.governing import belongings, governing, refuse_exposed, row, who_is_who
from bascule.checkup.ownership import EVERYBODY, Holding, Model, Who, Writer, worst
from bascule.core.errors import Tampered
from bascule.core.ids import AgentId
from bascule.host import accounts
from bascule.host.accounts import Accounts
from bascule.host.people import Tables

BASE = 1_999_000_000
TABLE = Accounts(BASE + 1, 8, BASE, {AgentId("main"): BASE + 1})


@pytest.fixture
def home(tmp_path):
    made = tmp_path / "home"
    for name in ("prompts/main", "agents/main/tools", "agents/main/workspace"):
        (made / name).mkdir(parents=True)
    for name in ("bascule.json5", "exec-approvals.json", "prompts/main/AGENTS.md", "agents/main/tools/t.sh"):
        (made / name).write_text("{}")
        (made / name).chmod(0o644)
    os.chown(made / "agents/main/workspace", BASE + 1, BASE + 1)
    accounts.store(made, TABLE)
    return made


def models(home: Path) -> dict[str, str]:
    who = who_is_who(home)
    return {holding.path.removeprefix(f"{home}/"): str(holding.model) for holding in governing(home, who)}


def test_every_file_that_governs_is_named(home):
    assert set(models(home)) == {
        "bascule.json5",
        "exec-approvals.json",
        "accounts.json",
        "prompts",
        "prompts/main",
        "prompts/main/AGENTS.md",
    }
    assert set(models(home).values()) <= {"root-owned", "operator-owned"}


@pytest.mark.parametrize(
    ("name", "uid", "exposed"),
    [
        ("bascule.json5", BASE + 1, {"bascule.json5"}),
        ("prompts/main", BASE + 1, {"prompts/main", "prompts/main/AGENTS.md"}),
        ("prompts/main/AGENTS.md", 4242, {"prompts/main/AGENTS.md"}),
        ("agents/main/workspace", BASE + 1, set()),
    ],
)
def test_what_an_agent_or_a_stranger_could_change_keeps_the_gateway_from_starting(home, name, uid, exposed):
    refuse_exposed(home)
    os.chown(home / name, uid, uid)
    assert {path for path, model in models(home).items() if model == "exposed"} == exposed
    if exposed:
        with pytest.raises(Tampered) as refused:
            refuse_exposed(home)
        assert refused.value.code == "policy_exposed"
        assert ("agent main" if uid == BASE + 1 else "uid 4242") in refused.value.message
    else:
        refuse_exposed(home)


def test_files_of_the_gateways_are_the_bots(home):
    os.chown(home / "exec-approvals.json", BASE, BASE)
    assert models(home)["exec-approvals.json"] == "bot-owned"
    refuse_exposed(home)


def test_tools_and_the_directory_that_holds_them_are_looked_at_and_what_is_the_agents_own_is_not(home):
    who = who_is_who(home)
    found = list(belongings(home, [AgentId("main")], who))
    assert [holding.path.removeprefix(f"{home}/agents/main") for holding in found] == ["", "/tools", "/tools/t.sh"]
    assert worst(found) < Model.BOT_OWNED
    os.chown(home / "agents/main/tools", BASE + 1, BASE + 1)
    assert worst(list(belongings(home, [AgentId("main")], who))) is Model.EXPOSED


def test_a_row_says_everybody_once_and_a_missing_file_has_no_owner():
    who = Who(frozenset(), 7, {}, Tables())
    writers = (Writer(EVERYBODY, "may"), Writer(9, "owns it"))
    assert row(Holding("/p", "policy", Model.EXPOSED, "uid 9", 0o666, writers), who) == {
        "id": "/p",
        "what": "policy",
        "model": "exposed",
        "owner": "uid 9",
        "mode": "0666",
        "writers": [{"who": "everybody", "how": "may"}],
    }
    missing = row(Holding("/p", "policy", Model.ROOT_OWNED, "root", -1, ()), who)
    assert (missing["model"], missing["owner"], missing["mode"]) == ("missing, root-owned", "", "")


def test_a_filter_of_system_calls_governs_too(home):
    policy = '{agents: {list: [{id: "main", sandbox: {docker: {seccompProfile: "calls.json"}}}]}}'
    (home / "bascule.json5").write_text(policy)
    assert models(home)["calls.json"] == "root-owned"
    (home / "calls.json").write_text("{}")
    (home / "calls.json").chmod(0o644)
    refuse_exposed(home)
    os.chown(home / "calls.json", BASE + 1, BASE + 1)
    with pytest.raises(Tampered) as refused:
        refuse_exposed(home)
    assert (refused.value.code, "calls.json" in refused.value.message) == ("policy_exposed", True)
