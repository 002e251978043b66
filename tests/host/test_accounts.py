"""Who gets which kernel uid, and which tables of them are believed."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import BasculeError, Malformed, Tampered, Unavailable
from bascule.core.ids import AgentId
from bascule.host import accounts
from bascule.host.accounts import (
    FIRST_UID,
    HOMES,
    PER_HOME,
    TABLE,
    Accounts,
    Range,
    extend,
    load,
    parse,
    root_range,
    settle,
    store,
    subordinate_range,
)

ONE, TWO, THREE = AgentId("one"), AgentId("two"), AgentId("three")
GIVEN = Range(5001, 3, 5000)
KNOWN = Accounts(5001, 3, 5000, {ONE: 5001, TWO: 5002})
HOMES_HERE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30).map("/".__add__)


def body(**change: object) -> str:
    agents = {"one": 5001, "two": 5002}
    return json.dumps({"base": 5001, "count": 3, "gateway": 5000, "agents": agents} | change)


# -- ranges


@given(HOMES_HERE)
def test_root_gives_every_home_a_range_of_its_own_above_those_of_others(home: str) -> None:
    found = root_range(home)
    assert found == root_range(home)
    assert (found.gateway - FIRST_UID) % PER_HOME == 0
    assert (found.first, found.count) == (found.gateway + 1, PER_HOME - 1)
    assert found.gateway >= FIRST_UID
    assert found.first + found.count <= FIRST_UID + HOMES * PER_HOME < 1 << 31


def test_root_refuses_a_range_in_which_somebody_has_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    found = root_range("/srv/bots")
    for uid, taken in ((found.gateway - 1, False), (found.gateway, True), (found.gateway + PER_HOME - 1, True)):
        monkeypatch.setattr(
            pwd, "getpwall", lambda uid=uid: [SimpleNamespace(pw_name="eve", pw_uid=uid, pw_dir="/home/eve")]
        )
        if not taken:
            assert root_range("/srv/bots") == found
            continue
        with pytest.raises(Unavailable) as refused:
            root_range("/srv/bots")
        assert refused.value.code == "uid_range_taken"


def test_the_gateways_own_name_in_the_table_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = root_range("/srv/bots")
    for uid, directory, taken in ((0, "/srv/bots", False), (0, "/srv/else", True), (1, "/srv/bots", True)):
        entry = SimpleNamespace(pw_name="bascule", pw_uid=found.gateway + uid, pw_dir=directory)
        monkeypatch.setattr(pwd, "getpwall", lambda entry=entry: [entry])
        if not taken:
            assert root_range("/srv/bots") == found
            continue
        with pytest.raises(Unavailable):
            root_range("/srv/bots")


@given(HOMES_HERE, st.integers(1, 1 << 20), st.integers(1, 1 << 20))
def test_a_home_gets_one_slice_of_its_users_uids_and_the_gids_at_the_same_offsets(
    home: str, uids: int, gids: int
) -> None:
    found = subordinate_range(home, "ann", 1000, f"bob:1:9\nann:100000:{uids}\n", f"ann:300000:{gids}\n")
    offset = found.first - 100_000
    assert found.first_gid - 300_000 == offset
    assert found.gateway == 1000
    assert (offset % PER_HOME, found.count) == (0, min(uids, gids, PER_HOME))
    assert 0 <= offset <= min(uids, gids) - found.count


def test_homes_of_one_user_spread_over_its_slices() -> None:
    text = "ann:100000:65536\n"
    firsts = [subordinate_range(f"/home/ann/{number}", "ann", 1000, text, text).first for number in range(400)]
    # Of 64 slices, 400 homes leave one empty with a chance of about one in nine; half of them never.
    assert len(set(firsts)) > 32
    assert max(firsts.count(first) for first in firsts) < 40


@pytest.mark.parametrize(
    ("subuid", "first"),
    [
        ("ann:7000:500\n", 7000),
        ("1000:7000:500\n", 7000),
        ("# none\nann:x:500\nann:7000:0\nann:8000:500\nann:9000:500\n", 8000),
        ("ann:7000:500", 7000),
    ],
)
def test_lines_name_users_by_name_or_uid(subuid: str, first: int) -> None:
    found = subordinate_range("/h", "ann", 1000, subuid, subuid)
    assert (found.first, found.first_gid, found.count) == (first, first, 500)


@pytest.mark.parametrize(
    ("subuid", "subgid"),
    [
        ("", ""),
        ("ann:100000:65536\n", ""),
        ("", "ann:100000:65536\n"),
        ("annie:100000:65536\n10000:1:2\n", "ann:100000:65536\n"),
        ("ann:100000:-5\nann:²:5\nann::\nann\n", "ann:100000:65536\n"),
        ("ann:100000:0\n", "ann:100000:65536\n"),
    ],
)
def test_without_subordinate_ids_the_remedy_is_a_line_to_run(subuid: str, subgid: str) -> None:
    with pytest.raises(Unavailable) as refused:
        subordinate_range("/h", "ann", 1000, subuid, subgid)
    assert refused.value.code == "subuid_missing"
    assert refused.value.remedy.startswith("run as root: usermod --add-subuids ")
    assert refused.value.remedy.endswith(" ann")
    assert "\n" not in str(refused.value) + refused.value.remedy


@given(st.integers(1, 1 << 31), st.integers(1, 1 << 20))
def test_the_line_to_run_gives_nobody_elses_ids(first: int, count: int) -> None:
    with pytest.raises(Unavailable) as refused:
        subordinate_range("/h", "ann", 1000, f"bob:{first}:{count}\n", "eve:200000:65536\n")
    begin, end = map(int, refused.value.remedy.split()[5].split("-"))
    assert begin >= max(first + count, 265_536)
    assert end - begin == 65_535


# -- tables


def test_a_table_reads_back(tmp_path: Path) -> None:
    store(tmp_path, KNOWN)
    assert load(tmp_path) == KNOWN
    assert (tmp_path / TABLE).stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == [TABLE]


def test_no_table_is_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        body(base="5001"),
        body(base=True),
        body(count=None),
        body(count=0),
        body(gateway=-1),
        body(gateway=0),
        body(agents=[]),
        body(agents={"one": 5001, "two": 5001}),
        body(agents={"one": 5001, "ONE": 5002}),
        body(agents={"one": "5001"}),
        body(agents={"one": True}),
        body(agents={"one": 0}),
        body(agents={"one": 5004}),
        body(agents={"one": 1000}),
        body(agents={"../one": 5001}),
        body(base=5000, agents={"one": 5000}),
    ],
)
def test_a_table_that_gives_what_it_may_not_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)
    assert parse(body()) == KNOWN


@given(st.text(max_size=80))
def test_noise_is_refused_or_a_table(text: str) -> None:
    try:
        found = parse(text)
    except Malformed:
        return
    assert found.gateway not in found.agents.values()


def loose(path: Path) -> None:
    path.write_text(body())
    path.chmod(0o666)


def linked(path: Path) -> None:
    other = path.with_name("elsewhere")
    other.write_text(body())
    path.symlink_to(other)


def foreign(path: Path) -> None:
    path.write_text(body())
    path.chmod(0o640)
    os.chown(path, 1_960_000_000, -1)


@pytest.mark.parametrize("spoil", [loose, linked, Path.mkdir, os.mkfifo, foreign])
def test_a_table_that_a_stranger_could_have_made_is_not_read(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    if spoil is foreign and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    spoil(tmp_path / TABLE)
    with pytest.raises(BasculeError) as refused:
        load(tmp_path)
    assert isinstance(refused.value, Tampered | Malformed)


def test_a_table_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / TABLE).mkdir()
    with pytest.raises(Unavailable) as refused:
        store(tmp_path, KNOWN)
    assert refused.value.code == "accounts_unwritable"
    assert [path.name for path in tmp_path.iterdir()] == [TABLE]


# -- giving out


@given(st.lists(st.lists(st.sampled_from("abcdefgh").map(AgentId), max_size=8), max_size=5))
def test_whoever_has_an_account_keeps_it_and_nobody_shares_one(rounds: list[list[AgentId]]) -> None:
    known: Accounts | None = None
    for wanted in rounds:
        before = dict(known.agents) if known else {}
        known = extend(known, Range(5001, 8, 5000), wanted)
        assert before.items() <= known.agents.items()
        assert set(known.agents) == set(before) | set(wanted)
        assert len({5000, *known.agents.values()}) == len(known.agents) + 1
        assert all(5001 <= uid < 5009 for uid in known.agents.values())


def test_an_account_of_an_agent_that_left_is_given_to_nobody_else() -> None:
    assert extend(KNOWN, GIVEN, [THREE]).agents == {ONE: 5001, TWO: 5002, THREE: 5003}


@pytest.mark.parametrize(
    ("given_", "wanted", "code"),
    [
        (Range(6001, 3, 5000), [ONE], "uid_range_changed"),
        (Range(5001, 3, 1000), [ONE], "uid_range_changed"),
        (GIVEN, [THREE, AgentId("four")], "uid_range_full"),
    ],
)
def test_a_home_that_moved_or_is_full_is_refused(given_: Range, wanted: list[AgentId], code: str) -> None:
    with pytest.raises(Unavailable) as refused:
        extend(KNOWN, given_, wanted)
    assert refused.value.code == code


def test_settling_writes_once_and_then_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Accounts] = []
    monkeypatch.setattr(accounts, "store", lambda home, table: (written.append(table), store(home, table)))
    monkeypatch.setattr(accounts, "range_here", lambda _home: GIVEN)
    first = settle(tmp_path, [ONE])
    assert settle(tmp_path, [ONE]) == first == load(tmp_path)
    both = settle(tmp_path, [TWO])
    assert written == [first, both]
    assert both.agents == {ONE: 5001, TWO: 5002}


def test_a_moved_home_keeps_its_table_and_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "ann:100000:65536\n"
    monkeypatch.setattr(
        accounts, "range_here", lambda home: subordinate_range(f"/home/ann/{home.name}", "ann", 1000, text, text)
    )
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    settle(old, [ONE])
    before = (old / TABLE).read_bytes()
    old.rename(new)
    with pytest.raises(Unavailable) as refused:
        settle(new, [ONE, TWO])
    assert refused.value.code == "uid_range_changed"
    assert (new / TABLE).read_bytes() == before


def test_an_ordinary_users_range_is_looked_up_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"/etc/subuid": "ann:7000:500\n1001:9000:500\n", "/etc/subgid": "ann:8000:500\n1001:9000:500\n"}
    monkeypatch.setattr(accounts, "_text", texts.__getitem__)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_name="ann"))
    assert accounts.range_here(tmp_path) == Range(7000, 500, 1000, 8000)
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert accounts.range_here(tmp_path) == Range(9000, 500, 1001, 9000)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert accounts.range_here(tmp_path) == root_range(str(tmp_path))


# -- a single account for all


def alone(monkeypatch: pytest.MonkeyPatch, uid: int = 1000) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


@pytest.mark.parametrize(
    ("change", "is_single"),
    [
        ({}, True),
        ({"agents": {}}, True),
        ({"agents": {"one": 1000, "two": 1001}}, False),
        ({"base": 1001}, False),
        ({"gateway": 1001}, False),
        ({"count": False}, False),
        ({"count": 1}, False),
        ({"count": -1}, False),
        ({"gateway": 0, "base": 0, "agents": {"one": 0}}, False),
    ],
)
def test_a_table_of_a_single_account_gives_out_nothing(change: dict[str, object], is_single: bool) -> None:
    text = body(**{"base": 1000, "count": 0, "gateway": 1000, "agents": {"one": 1000, "two": 1000}} | change)
    if is_single:
        assert parse(text).single
    else:
        with pytest.raises(Malformed):
            parse(text)


def test_settling_on_a_single_account_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch)
    accounts.settle_single(tmp_path, [ONE])
    assert accounts.settle_single(tmp_path, [TWO]) == Accounts(1000, 0, 1000, {ONE: 1000, TWO: 1000}) == load(tmp_path)


def test_a_home_whose_agents_had_accounts_never_falls_back_to_a_single_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(tmp_path, KNOWN)
    alone(monkeypatch)
    with pytest.raises(Unavailable) as refused:
        accounts.settle_single(tmp_path, [ONE])
    assert refused.value.code == "uid_range_changed"
    assert load(tmp_path) == KNOWN


def test_a_home_of_another_users_single_account_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, Accounts(1000, 0, 1000, {ONE: 1000}))
    alone(monkeypatch, 1001)
    with pytest.raises(Unavailable):
        accounts.settle_single(tmp_path, [ONE])


def test_accounts_of_their_own_replace_a_single_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, Accounts(1000, 0, 1000, {ONE: 1000}))
    monkeypatch.setattr(accounts, "range_here", lambda _home: GIVEN)
    found = settle(tmp_path, [ONE, TWO])
    assert found == load(tmp_path) == KNOWN
    assert not found.single
