"""Answers on the command line: one, several by name, and those that reach further; and who may come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import inside
from tests.control.simulated import SimulatedService, listening
from tests.control.simulated_doors import SECRET

from bascule.service.port import Minting, Wider

Do = Callable[[Callable[[SimulatedService], Any]], Any]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Do]:
    with listening(tmp_path) as do:
        do(lambda desk: desk.ask("apr_2", agent="bruba-rex", tool="exec", summary="exec ls"))
        yield do


def states(gateway: Do) -> list[str]:
    return gateway(lambda desk: [held["state"] for held in desk.questions.values()])


@pytest.mark.parametrize(("verb", "state"), [("approve", "approved"), ("deny", "denied")])
def test_several_are_answered_by_name_and_each_is_said(tmp_path: Path, gateway: Do, verb: str, state: str) -> None:
    ran = inside(tmp_path, "approvals", verb, "apr_2", "ABC")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        f"{state}: apr_2 (bruba-rex exec): exec ls\n{state}: apr_1 (bruba-main write): write \\x1b[31m/etc/motd\n"
    )
    assert states(gateway) == [state, state]


def test_several_in_json_are_a_list_with_ids(tmp_path: Path, gateway: Do) -> None:
    found = inside(tmp_path, "approvals", "deny", "apr_1", "apr_2", "--json").json
    assert [(row["id"], row["state"]) for row in found] == [("apr_1", "denied"), ("apr_2", "denied")]


@pytest.mark.parametrize("verb", ["approve", "deny"])
@pytest.mark.parametrize(
    "refs", [("all",), ("*",), ("apr_*",), ("apr_1", "all"), ("apr_[12]",), ("apr_1,apr_2",), ("",)]
)
def test_a_pattern_answers_nothing(tmp_path: Path, gateway: Do, verb: str, refs: tuple[str, ...]) -> None:
    ran = inside(tmp_path, "approvals", verb, "--json", *refs)
    assert (ran.status, ran.error["code"]) == (2, "approval_items")
    assert states(gateway) == ["pending", "pending"]


def test_one_unknown_among_several_answers_nothing(tmp_path: Path, gateway: Do) -> None:
    ran = inside(tmp_path, "approvals", "approve", "apr_1", "apr_3", "--json")
    assert (ran.status, ran.error["code"]) == (2, "approval_unknown")
    assert states(gateway) == ["pending", "pending"]


def test_what_is_decided_by_itself_is_not_decided_with_others(tmp_path: Path, gateway: Do) -> None:
    gateway(lambda desk: desk.ask("apr_3", action="external", bulk=False))
    ran = inside(tmp_path, "approvals", "approve", "apr_1", "apr_3", "--json")
    assert (ran.status, ran.error["code"]) == (1, "bulk_never")
    assert states(gateway) == ["pending", "pending", "pending"]
    assert inside(tmp_path, "approvals", "approve", "apr_3").status == 0


def test_the_same_question_named_twice_is_answered_once(tmp_path: Path, gateway: Do) -> None:
    assert inside(tmp_path, "approvals", "approve", "apr_1", "ABC").out.count("approved") == 1
    assert states(gateway) == ["approved", "pending"]


def test_one_that_somebody_answered_otherwise_says_so_and_is_status_one(tmp_path: Path, gateway: Do) -> None:
    gateway(lambda desk: desk.settle("apr_1", "denied", "pat (signal)"))
    ran = inside(tmp_path, "approvals", "approve", "apr_1", "apr_2")
    assert ran.status == 1
    assert ran.out.startswith("already denied by pat (signal): apr_1 (bruba-main write)")
    assert "\napproved: apr_2" in ran.out
    assert states(gateway) == ["denied", "approved"]
    again = inside(tmp_path, "approvals", "deny", "apr_1", "apr_1")
    assert (again.status, again.out.startswith("already denied by pat (signal)")) == (0, True)


@pytest.mark.parametrize(
    ("options", "wider"),
    [
        (("--session",), Wider("exact", True, None, None, None, None)),
        (("--minutes", "30"), Wider("exact", False, 30, None, None, None)),
        (("--uses", "3"), Wider("exact", False, None, 3, None, None)),
        (("--similar",), Wider("similar", False, None, None, None, None)),
        (("--similar", "--session", "--minutes", "5"), Wider("similar", True, 5, None, None, None)),
        (("--args", "status *"), Wider("pattern", False, None, None, "status *", None)),
        (("--args", ""), Wider("pattern", False, None, None, "", None)),
        (("--under", "/srv/x", "--uses", "9"), Wider("pattern", False, None, 9, None, "/srv/x")),
    ],
)
def test_a_wider_yes_is_what_was_asked_for(tmp_path: Path, gateway: Do, options: tuple[str, ...], wider: Wider) -> None:
    ran = inside(tmp_path, "approvals", "approve", "apr_1", *options)
    assert (ran.status, ran.err) == (0, "")
    assert gateway(lambda desk: desk.wider) == [wider]
    assert ran.out.startswith("granted: gr_1 (bruba-main write, asked as apr_1)\n")
    for said in (f"  {wider.extent}: write below /etc\n", "until 2026-01-01T08:00:00Z", "grants revoke gr_1"):
        assert said in ran.out
    assert ("in agent:bruba-main:main" in ran.out) == wider.this_session
    assert (f"{wider.uses} more times" in ran.out) == (wider.uses is not None)


@pytest.mark.parametrize(
    "words",
    [
        ("apr_1", "apr_2", "--similar"),
        ("apr_1", "--similar", "--under", "/srv"),
        ("apr_1", "--minutes", "0"),
        ("apr_1", "--uses", "-1"),
        ("apr_1", "--minutes", "1h"),
    ],
)
def test_a_wider_yes_that_makes_no_sense_is_none(tmp_path: Path, gateway: Do, words: tuple[str, ...]) -> None:
    ran = inside(tmp_path, "approvals", "approve", *words, "--json")
    assert (ran.status, ran.error["code"]) == (2, "usage")
    assert (states(gateway), gateway(lambda desk: desk.wider)) == (["pending", "pending"], [])


def test_show_says_which_wider_yes_is_possible_or_why_none_is(tmp_path: Path, gateway: Do) -> None:
    shown = inside(tmp_path, "approvals", "show", "apr_1").out
    assert "--similar would cover:\n  write below /etc/motd.d\n  with any content\n" in shown
    gateway(lambda desk: desk.ask("apr_3", ungrantable="it leaves the machine"))
    assert "for this call only: it leaves the machine" in inside(tmp_path, "approvals", "show", "apr_3").out
    gateway(lambda desk: desk.ask("apr_4", proposal=[]))
    assert "nothing similar was asked" in inside(tmp_path, "approvals", "show", "apr_4").out


def test_a_grant_is_listed_until_it_is_revoked(tmp_path: Path, gateway: Do) -> None:
    assert inside(tmp_path, "grants", "list").err == "no grant is in force\n"
    made = inside(tmp_path, "approvals", "approve", "apr_1", "--similar", "--json").json
    assert [row["id"] for row in inside(tmp_path, "grants", "list", "--json").json] == [made["id"]]
    assert "similar: write below /etc" in inside(tmp_path, "grants", "list").out
    assert inside(tmp_path, "grants", "revoke", made["id"]).out == f"revoked: {made['id']} (bruba-main write)\n"
    assert inside(tmp_path, "grants", "list", "--json").json == []
    assert [row["state"] for row in inside(tmp_path, "grants", "list", "--all", "--json").json] == ["revoked"]
    assert inside(tmp_path, "grants", "revoke", made["id"], "--json").error["code"] == "grant_ended"


@pytest.mark.parametrize(
    ("options", "minting"),
    [
        (("--scope", "read,approve", "--agent", "*"), Minting("phone", "read,approve", "*", None, False, 30, None)),
        (
            ("--scope", "read", "--scope", "chat", "--agent", "a", "--agent", "b"),
            Minting("phone", "read,chat", "a,b", None, False, 30, None),
        ),
        (
            ("--scope", "chat", "--agent", "a,b", "--days", "7", "--session", "phone", "--trusted", "--for", "pat"),
            Minting("phone", "chat", "a,b", "phone", True, 7, "pat"),
        ),
        (("--scope", "read", "--agent", ""), Minting("phone", "read", "", None, False, 30, None)),
    ],
)
def test_a_token_is_made_and_its_secret_stands_alone(
    tmp_path: Path, gateway: Do, options: tuple[str, ...], minting: Minting
) -> None:
    ran = inside(tmp_path, "tokens", "create", "phone", *options)
    assert (ran.status, ran.out) == (0, SECRET + "\n")
    assert SECRET not in ran.err
    assert "bascule tokens revoke tok_1" in ran.err
    assert gateway(lambda doors: doors.minted) == [minting]
    for words in (("tokens", "list"), ("tokens", "list", "--json"), ("tokens", "revoke", "phone", "--json")):
        after = inside(tmp_path, *words)
        assert "phone" in after.out
        assert SECRET not in after.out + after.err


def test_a_token_in_json_is_one_object(tmp_path: Path, gateway: Do) -> None:
    found = inside(tmp_path, "tokens", "create", "phone", "--scope", "read", "--agent", "*", "--json")
    assert (found.json["token"], found.err) == (SECRET, "")
    assert inside(tmp_path, "tokens", "revoke", "tok_1").out == "revoked: tok_1 (phone)\n"


def test_the_dashboard_s_link_stands_alone(tmp_path: Path, gateway: Do) -> None:
    ran = inside(tmp_path, "dashboard")
    assert ran.out == "http://127.0.0.1:18789/enter#once\n"
    assert "once, until 2026-01-01T00:05:00Z" in ran.err
    assert inside(tmp_path, "dashboard", "--json").json["url"] == ran.out.strip()


def test_without_a_gateway_there_is_no_dashboard_and_none_is_started(tmp_path: Path) -> None:
    ran = inside(tmp_path, "dashboard", "--json")
    assert (ran.status, ran.error["code"]) == (1, "dashboard_off")
    assert "bascule gateway start" in ran.error["remedy"]
    assert not (tmp_path / "logs").exists()


def test_lineage_is_a_list_of_records(tmp_path: Path, gateway: Do) -> None:
    assert [row["seq"] for row in inside(tmp_path, "ledger", "show", "7", "--lineage", "--json").json] == [6, 7, 8]
