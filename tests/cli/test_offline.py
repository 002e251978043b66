"""Verbs that need no gateway: ``init``, ``config`` and ``ledger verify``."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.cli.program import bascule, inside
from tests.simulators import Time

from bascule.cli.config import look_up
from bascule.core.errors import Malformed
from bascule.ledger import schema
from bascule.ledger.anchor import HEADS_FILE, Anchor
from bascule.ledger.keys import load_or_create
from bascule.ledger.store import Ledger
from bascule.state.connection import Database
from bascule.state.migrations import migrate


@pytest.mark.parametrize(("team", "agents"), [("solo", 1), ("bruba", 5)])
def test_a_home_is_made_once_and_is_fit_for_use(tmp_path: Path, team: str, agents: int) -> None:
    home = tmp_path / "new" / "home"
    made = inside(home, "init", "--team", team, "--json")
    assert made.status == 0, made.err
    assert len(made.json["agents"]) == agents
    assert {path.name for path in home.iterdir()} == {
        "bascule.json5", "exec-approvals.json", "prompts", "agents", "shared", "state", "logs", "run",
    }  # fmt: skip
    for agent in made.json["agents"]:
        assert {path.name for path in (home / "agents" / agent).iterdir()} == {"workspace", "memory", "output", "tools"}
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()}
    assert (modes["state"], modes["logs"], modes["run"], modes["bascule.json5"]) == (0o700, 0o700, 0o700, 0o640)
    checked = inside(home, "config", "check", "--json")
    assert (checked.status, checked.json["ok"]) == (0, True)
    (home / "bascule.json5").write_text("mine")
    again = inside(home, "init", "--json")
    assert (again.status, again.error["code"]) == (1, "home_exists")
    assert (home / "bascule.json5").read_text() == "mine"


def test_an_unknown_team_makes_nothing(tmp_path: Path) -> None:
    assert inside(tmp_path / "home", "init", "--team", "nope", "--json").status == 2
    assert not (tmp_path / "home").exists()


def test_a_link_in_place_of_a_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "bascule.json5").symlink_to(tmp_path / "elsewhere")
    assert inside(tmp_path / "home", "init").status == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert inside(tmp_path / "home", "init", "--team", "bruba").status == 0
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("agents.list[0].name", "Main\n"),
        ("agents.list.0.name", "Main\n"),
        ("agents.list.bruba-main.default", "true\n"),
        ("agents.list[bruba-rex].id", None),
        ("approvals", '{"timeoutSeconds": 1800}\n'),
    ],
)
def test_get(home: Path, path: str, out: str | None) -> None:
    ran = inside(home, "config", "get", path)
    if out is None:
        assert (ran.status, ran.out) == (2, "")
    else:
        assert (ran.status, ran.out) == (0, out)
        assert inside(home, "config", "get", path, "--json").out.strip('"\n') == out.strip('"\n')


@pytest.mark.parametrize("path", ["a.c", "a[2]", "a[-1]", "a..b", "b.c", "[", "a[0]x", "a.\n"])
def test_a_path_that_leads_nowhere_is_an_error(path: str) -> None:
    with pytest.raises(Malformed) as caught:
        look_up({"a": (1, {"id": "z", "v": 5}), "b": 2}, path)
    assert caught.value.code == "config_path"


@pytest.mark.parametrize(("path", "value"), [("", None), ("a[1].v", 5), ("a.z.v", 5), ("b", 2), ("a.0", 1)])
def test_a_path_that_leads_somewhere(path: str, value: object) -> None:
    tree = {"a": (1, {"id": "z", "v": 5}), "b": 2}
    assert look_up(tree, path) == (tree if value is None else value)


def test_check_names_file_line_and_column(home: Path) -> None:
    config = home / "bascule.json5"
    config.write_text(config.read_text().replace("agents: {", "agnets: {", 1))
    ran = inside(home, "config", "check", "--json")
    assert ran.status == 2
    assert ran.error["message"].startswith("bascule.json5:")
    config.unlink()
    assert inside(home, "config", "check", "--json").error["code"] == "policy_missing"


def test_a_broken_approvals_file_is_critical(home: Path) -> None:
    (home / "exec-approvals.json").write_text("{")
    ran = inside(home, "config", "check", "--json")
    assert (ran.status, ran.json["ok"]) == (1, False)
    assert "approvals.broken" in {found["id"] for found in ran.json["findings"]}
    assert "approvals.broken" in inside(home, "config", "check").out


def test_diff_says_what_an_edit_allows(home: Path, tmp_path: Path) -> None:
    assert inside(home, "config", "diff", "--json").json == []
    before = tmp_path / "before"
    shutil.copytree(home, before)
    config = home / "bascule.json5"
    config.write_text(config.read_text().replace("callsPerDay: 20000", "callsPerDay: 30000", 1))
    changes = inside(home, "config", "diff", str(before), "--json").json
    assert changes
    assert {found["direction"] for found in changes} <= {"wider", "narrower", "other"}
    assert all(isinstance(found["id"], str) for found in changes)
    back = inside(before, "config", "diff", str(home), "--json").json
    assert {found["direction"] for found in changes} == {"wider"}
    assert {found["direction"] for found in back} == {"narrower"}


def test_diff_compares_with_what_the_gateway_runs_with(home: Path) -> None:
    (home / "exec-approvals.json").unlink()
    assert bascule(home, "gateway", "start").status == 0
    try:
        assert inside(home, "config", "diff", "--json").json == []
        config = home / "bascule.json5"
        config.write_text(config.read_text().replace("callsPerDay: 20000", "callsPerDay: 30000", 1))
        changes = inside(home, "config", "diff", "--json").json
        assert {(found["direction"], found["before"], found["after"]) for found in changes} == {
            ("wider", "20000", "30000")
        }
    finally:
        assert bascule(home, "gateway", "stop").status == 0


def keep(home: Path, records: int) -> None:
    state = home / "state"
    database = Database(state / "bascule.db")
    migrate(database, (schema.SCHEMA,))
    ledger = Ledger(database, Time(), Anchor(load_or_create(state), state / HEADS_FILE))

    async def write() -> None:
        for number in range(records):
            await ledger.append("decided", {"agent": "a", "tool": str(number)}, durable=True)
        ledger.anchor()

    asyncio.run(write())
    database.close()


def test_looking_at_owners_needs_a_home(tmp_path: Path) -> None:
    ran = inside(tmp_path / "no-home", "config", "verify", "--json")
    assert (ran.status, ran.error["code"]) == (1, "home_missing")


def test_verify_finds_what_was_changed(home: Path) -> None:
    keep(home, 5)
    good = inside(home, "ledger", "verify", "--json")
    assert (good.status, good.json["ok"], good.json["records"]) == (0, True, 5)
    file = home / "state" / "bascule.db"
    written = file.read_bytes()
    assert written.count(b'"tool":"3"') == 1
    file.write_bytes(written.replace(b'"tool":"3"', b'"tool":"4"'))
    bad = inside(home, "ledger", "verify", "--json")
    assert (bad.status, bad.json["ok"]) == (1, False)
    assert bad.json["problems"][0]["seq"] == 4
    assert "record 4" in inside(home, "ledger", "verify").out


def test_verify_takes_files_from_elsewhere(home: Path, tmp_path: Path) -> None:
    keep(home, 3)
    names = {"--file": "bascule.db", "--key": "ledger.pub", "--heads": HEADS_FILE}
    words = [word for option, name in names.items() for word in (option, shutil.copy(home / "state" / name, tmp_path))]
    assert inside(tmp_path / "no-home", "ledger", "verify", *words).status == 0
    ran = inside(tmp_path / "no-home", "ledger", "verify", "--json")
    assert (ran.status, ran.error["code"]) == (1, "ledger_unreadable")
