"""T23: a yes for more than one call is stretched.

To another program, another script, other words, other paths, another agent, session, policy or label; beyond its uses,
its time, a revocation, a containment, a reset; to what nobody was shown; to what is never granted. The effect is one
more line in a file outside. Every grant is seen to work before it is stretched: the call it was given for runs again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.killing import client_of
from tests.attacks.reached import Reached, reached, session, wider
from tests.living import MAIN, Living, codes, content, effect

from bascule.core.errors import BasculeError

pytestmark = pytest.mark.live

REX = "bruba-rex"
SCRIPT = "echo ran\n"
EVIL = "echo evil\n"
SECRET = "what nobody may read"


def furnish(made: Living) -> None:
    for own in (made.root(agent) / "workspace" for agent in (MAIN, REX)):
        for name in ("s.sh", "other.sh"):
            (own / name).write_text(SCRIPT)
            (own / name).chmod(0o666)
        for folder in ("dir", "dirx"):
            (own / folder).mkdir()
            (own / folder / "a").write_text("a\n")
        (own / "dir" / "up").symlink_to("../../../bruba-guru/diary.md")
        (own / "link.sh").symlink_to("s.sh")
    (made.root("bruba-guru") / "diary.md").write_text(SECRET)
    entries = '{ "pattern": "/usr/bin/rev", "class": "external" }, { "pattern": "/usr/bin/nl", "class": "admin" },'
    asks = f'"{REX}": {{\n      "ask": "always", "allowlist": [ {entries}'
    made.change(
        "exec-approvals.json", lambda text: text.replace(f'"{REX}": {{\n      "allowlist": [', asks, 1)
    )  # fmt: skip
    made.change(
        "bascule.json5",
        lambda text: text.replace(
            "callsPerMinute: 600, callsPerDay: 20000", "callsPerMinute: 90000, callsPerDay: 90000"
        ),
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    with reached(tmp_path_factory.mktemp("t23"), furnish) as found:
        outside = found.outside
        for folder in ("dir", "dirx"):
            (outside / folder).mkdir()
            (outside / folder / "a").write_text("a\n")
        (outside / "secret").write_text(SECRET)
        (outside / "dir" / "link").symlink_to(outside / "secret")
        for name in ("count", "counter", "ran"):
            (outside / name).touch()
            (outside / name).chmod(0o666)
        program = outside / "program"
        program.write_text("#!/bin/sh\necho ran\n")
        program.chmod(0o755)
        yield found


def granted(house: Reached, command: str, key: str, terms: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """Let a command be granted, and see that it runs, twice, without another question."""
    report = house.made.run(command, session=key, **options)
    assert effect(report) == "ask", report["decision"]
    made = house.made.client.request("approvals_grant", ref=report["approval"]["id"], **terms)
    for _ in range(2):
        again = house.made.run(command, session=key, **options)
        assert (effect(again), again["outcome"]["ok"]) == ("allow", True)
    return dict(made)


def lines(house: Reached, name: str = "ran") -> int:
    return len((house.outside / name).read_text().splitlines())


@pytest.fixture(autouse=True)
def _cleared(house: Reached) -> Iterator[None]:
    yield
    for found in house.made.client.request("grants_list", everything=False):
        house.made.client.request("grants_revoke", grant=found["id"])
    house.settle()


# -- words

ANY_WORD = {"extent": "pattern", "args": "workspace/s.sh *", "under": "."}
STRETCHED = [
    "sh workspace/other.sh a", "sh workspace/link.sh a", "sh ./workspace/../workspace/other.sh a", "bash workspace/s.sh a",
    "sh workspace/s.sh -x", "sh workspace/s.sh --norc", "sh workspace/s.sh a b", "sh workspace/s.sh", "sh -x workspace/s.sh a",
    "sh workspace/s.sh a | sh", "sh workspace/s.sh a ; sh workspace/other.sh", "sh workspace/s.sh a && sh workspace/s.sh a",
    "sh workspace/s.sh a 2>&1", "sh workspace/s.sh a < workspace/other.sh", "sh workspace/s.sh a >> {outside}/count",
    "sh workspace/s.sh /etc/hostname", "sh -c 'workspace/s.sh a'", "sh a workspace/s.sh", "sh 'workspace/s.sh a'",
]  # fmt: skip


def test_a_grant_of_words_covers_no_other_words(house: Reached) -> None:
    key, count = session(), f">> {house.outside}/ran"
    granted(house, f"sh workspace/s.sh a {count}", key, wider(**ANY_WORD))
    before = lines(house)
    assert effect(house.made.run(f"sh workspace/s.sh other {count}", session=key)) == "allow"
    assert lines(house) == before + 1
    for command in STRETCHED:
        said = command.format(outside=house.outside)
        for tail in ("", f" {count}"):
            report = house.made.run(said + tail, session=key)
            assert effect(report) in {"ask", "deny"}, said + tail
            assert report["outcome"] is None
    assert lines(house) == before + 1


def test_what_was_seen_widens_to_nothing_that_names_something_else(house: Reached) -> None:
    """``dd`` takes what it does from a word without a dash."""
    key = session()
    for name in ("dir/a", "dirx/a"):
        report = house.made.run(f"dd if=workspace/{name}", session=key)
        house.made.client.request("approvals_approve", ref=report["approval"]["id"])
        assert house.made.run(f"dd if=workspace/{name}", session=key)["outcome"]["ok"]
    shown = house.show(house.made.run("dd if=workspace/s.sh", session=key)["approval"]["id"])
    house.made.client.request("approvals_grant", ref=shown["id"], **wider(extent="similar"))
    assert effect(house.made.run("dd if=workspace/other.sh", session=key)) == "allow"
    for word in (
        "of=workspace/s.sh",
        "conv=notrunc",
        "workspace/other.sh",
        "if=/etc/hostname",
        "if=workspace/../tools",
    ):
        assert effect(house.made.run(f"dd {word}", session=key)) in {"ask", "deny"}, word
    assert (house.made.root() / "workspace" / "s.sh").read_text() == SCRIPT


# -- paths

OWN = {
    "tac workspace/dirx/a": 0, "tac workspace/dir/../dirx/a": 0, "tac workspace/dir/../../../bruba-guru/diary.md": 0,
    "tac /etc/hostname": 0, "tac {home}/agents/bruba-guru/diary.md": 0, "tac -- workspace/dirx/a": 0, "tac workspace": 0,
    "tac workspace/dir/up": 1,
}  # fmt: skip
BEYOND = {
    "cat {outside}/dirx/a": 0, "cat {outside}/dir/../secret": 0, "cat {outside}/dir.": 0, "cat {outside}": 0,
    "cat {outside}/dir/../dirx/a": 0, "cat //{outside}/dirx/a": 0, "cat {outside}/dir/a {outside}/secret": 0,
    "cat {outside}/dir/link": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "under", "table"), [("tac workspace/dir/a", "workspace/dir", OWN), ("cat {outside}/dir/a", "{outside}/dir", BEYOND)]
)  # fmt: skip
def test_a_grant_of_a_directory_covers_nothing_beside_it(
    house: Reached, command: str, under: str, table: Mapping[str, int]
) -> None:
    places = {"outside": house.outside, "home": house.made.home}
    # Compared as text, as a careless rule would, the neighbour's path does begin with the directory's.
    assert "workspace/dirx/a".startswith("workspace/dir")
    key = session()
    terms = wider(extent="pattern", args="*", under=under.format(**places))
    granted(house, command.format(**places), key, terms)
    for told, runs in table.items():
        said = told.format(**places)
        report = house.made.run(said, session=key)
        assert (effect(report) == "allow") is bool(runs), said
        # A link below it is covered by its name; where it leads, the box does not have.
        assert SECRET not in content(report)
        assert not (report["outcome"] and report["outcome"]["ok"])


def test_a_grant_to_read_is_none_to_write_and_the_reverse(house: Reached) -> None:
    key, path = session(), str(house.outside / "counter")
    report = house.made.call("read", {"path": path}, session=key)
    house.made.client.request("approvals_grant", ref=report["approval"]["id"], **wider())
    assert effect(house.made.call("read", {"path": path}, session=key)) == "allow"
    written = {"path": path, "content": "x", "append": True}
    report = house.made.call("write", written, session=key)
    assert effect(report) == "ask"
    house.made.client.request("approvals_grant", ref=report["approval"]["id"], **wider())
    assert effect(house.made.call("write", written, session=key)) == "allow"
    for other in ({**written, "content": "y"}, {**written, "append": False}, {**written, "path": f"{path}x"}):
        assert effect(house.made.call("write", other, session=key)) == "ask"
    assert house.effects("counter") == 1


# -- identities


@pytest.mark.parametrize("changed", ["the script", "the program"])
def test_another_content_asks_again(house: Reached, changed: str) -> None:
    target = house.outside / "program" if changed == "the program" else house.made.root() / "workspace" / "other.sh"
    command = str(target) if changed == "the program" else "sh workspace/other.sh"
    kept, key = target.read_text(), session()
    granted(house, command, key, wider())
    for text in (kept + "echo evil\n", kept.replace("ran", "nar"), ""):
        target.write_text(text)
        assert effect(house.made.run(command, session=key)) in {"ask", "deny"}
    target.write_text(kept)
    assert effect(house.made.run(command, session=key)) == "allow"


def test_raced_against_another_session_no_other_content_runs(house: Reached) -> None:
    """The agent's second session swaps the script, again and again, while the first one runs what was granted."""
    script, key = house.made.root() / "workspace" / "raced.sh", session()
    house.made.call("write", {"path": "workspace/raced.sh", "content": SCRIPT})
    granted(house, "sh workspace/raced.sh", key, wider())
    ended, swaps = threading.Event(), [0]

    def swap() -> None:
        options = {"session": session(), "dry_run": False, "wait": 0.0, "as_operator": False}
        with client_of(house.made.home) as client:
            while not ended.is_set():
                for text in (EVIL, SCRIPT):
                    args = json.dumps({"path": "workspace/raced.sh", "content": text})
                    client.request("call", agent=MAIN, tool="write", args_text=args, **options)
                    swaps[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        naive = _looked_at_then_run(script)
        ran = [content(house.made.run("sh workspace/raced.sh", session=key)) for _ in range(150)]
    finally:
        ended.set()
        thread.join()
    assert "evil\n" in naive
    assert swaps[0] > 20
    assert set(ran) <= {"ran\n", ""}
    assert "ran\n" in ran


def _looked_at_then_run(script: Path) -> set[str]:
    """What a check that is only a check lets through: the content is looked at, and then a shell opens the file."""
    wanted, seen, deadline = hashlib.sha256(SCRIPT.encode()).digest(), set(), time.monotonic() + 60
    while "evil\n" not in seen and time.monotonic() < deadline:
        if hashlib.sha256(script.read_bytes()).digest() == wanted:
            seen.add(subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False).stdout)
    return seen


HOLDS_MORE = {
    "bash -c -x 'echo {it}'": "an option where the text would be",
    "perl -e 'print 1;' -e 'print \"{it}\"'": "a second text",
    "sed workspace/dir/a -e 's/a/{it}/'": "a text behind what looks like one",
    "sed -n workspace/dir/a -f workspace/s.sh": "a file behind what looks like a text",
    "cat workspace/s.sh | sh": "whatever comes in",
    "xargs sh": "another program",
}  # fmt: skip


@pytest.mark.parametrize("command", list(HOLDS_MORE))
def test_what_can_hold_another_text_is_never_granted(house: Reached, command: str) -> None:
    if "{it}" in command:  # bare, the same line with another text in that place does another thing
        bare = [
            subprocess.run(
                ["bash", "-c", f"echo a | {command.format(it=word)}"], capture_output=True, text=True, check=False,
                cwd=house.made.root(),
            ) for word in ("one", "two")
        ]  # fmt: skip
        assert bare[0].stdout + bare[0].stderr != bare[1].stdout + bare[1].stderr
    report = house.made.run(command.format(it="one"), session=session())
    if effect(report) == "deny":  # a program this machine does not have
        assert shutil.which(command.split(maxsplit=1)[0]) is None
        return
    assert house.show(report["approval"]["id"])["ungrantable"]
    for terms in (wider(), wider(extent="similar"), wider(extent="pattern", args="*")):
        with pytest.raises(BasculeError) as refused:
            house.made.client.request("approvals_grant", ref=report["approval"]["id"], **terms)
        assert refused.value.code == "grant_never"
    assert house.state(report["approval"]["id"]) == "pending"


def test_a_script_that_is_not_there_is_not_asked_about(house: Reached) -> None:
    """Bare, ``node x`` runs ``x.js``, at whose content nobody would have looked."""
    for command in ("sh workspace/absent.sh", "python3 workspace/hidden", "sh < workspace/absent.sh"):
        report = house.made.run(command, session=session())
        assert (effect(report), codes(report)) == ("deny", {"exec_script_missing"})
    assert effect(house.made.run("sh workspace/s.sh", session=session())) == "ask"


# -- whose


def test_a_grant_is_for_its_agent_its_session_and_its_label(house: Reached) -> None:
    key, command = session(), "sh workspace/s.sh whose"
    granted(house, command, key, wider(this_session=True))
    assert effect(house.made.run(command, session=session())) == "ask"
    assert effect(house.made.call("exec", {"command": command}, REX, session=key)) == "ask"
    report = house.made.run(f"{command} trusted", session=session(), as_operator=True)
    house.made.client.request("approvals_grant", ref=report["approval"]["id"], **wider())
    assert effect(house.made.run(f"{command} trusted", session=session(), as_operator=True)) == "allow"
    # The card said that the words were the operator's own; those of anybody else are not covered.
    assert effect(house.made.run(f"{command} trusted", session=session())) == "ask"


def test_a_grant_ends(house: Reached) -> None:
    key, command = session(), f"sh workspace/s.sh ends >> {house.outside}/ran"
    ends = house.made.client.request

    def asks(agent: str = MAIN) -> bool:
        return effect(house.made.call("exec", {"command": command}, agent, session=key)) == "ask"

    used = granted(house, command, key, wider(uses=2))
    before = lines(house)
    assert effect(house.made.run(command, session=key)) == "allow"
    assert asks()
    assert lines(house) == before + 1
    revoked = granted(house, command, key, wider())
    ends("grants_revoke", grant=revoked["id"])
    assert asks()
    timed = granted(house, command, key, wider(minutes=1))
    with sqlite3.connect(house.made.home / "state" / "bascule.db", timeout=20) as database:
        database.execute("UPDATE desk_grants SET due = due - 60 WHERE id = ?", (timed["id"],))
    assert asks()
    granted(house, command, key, wider(this_session=True))
    ends("sessions_reset", session=f"agent:{MAIN}:{key}")
    assert asks()
    granted(house, command, key, wider())
    ends("approvals_approve", ref=house.made.run(f"{command}x", session=key)["approval"]["id"])
    ends("contain", agent=MAIN, reason="a test")
    assert effect(house.made.run(command, session=key)) == "deny"
    ends("release", agent=MAIN)
    assert asks()
    # Nor does a yes that was given before and not used yet outlive the containment.
    assert effect(house.made.run(f"{command}x", session=key)) == "ask"
    states = {found["id"]: found["state"] for found in ends("grants_list", everything=True)}
    assert (states[used["id"]], states[revoked["id"]], states[timed["id"]]) == ("used_up", "revoked", "expired")


def test_neither_a_clock_set_back_nor_another_policy_keeps_a_grant(house: Reached) -> None:
    key = session()
    timed = granted(house, "sh workspace/s.sh clock", key, wider(minutes=30))
    with sqlite3.connect(house.made.home / "state" / "bascule.db", timeout=20) as database:
        # As if the gateway had lived another hour, and then the clock had been set back by one.
        database.execute("UPDATE desk_time SET latest = latest + 3600")
    assert effect(house.made.run("sh workspace/s.sh clock", session=key)) == "ask"
    rows = house.made.client.request("grants_list", everything=True)
    assert {row["id"]: row["state"] for row in rows}[timed["id"]] == "expired"
    granted(house, "sh workspace/s.sh policy", key, wider())
    house.made.stop()
    house.made.change("bascule.json5", lambda text: text.replace("wallSeconds: 120", "wallSeconds: 119"))
    house.made.start()
    assert effect(house.made.run("sh workspace/s.sh policy", session=key)) == "ask"


# -- many at once, and what is never granted


@pytest.mark.parametrize("program", ["rev", "nl"])
def test_external_and_admin_are_answered_one_by_one(house: Reached, program: str) -> None:
    call = {"command": f"{program} workspace/dir/a"}
    first = house.show(house.made.call("exec", call, REX, session=session())["approval"]["id"])
    plain = house.ask(f"bulk-{program}")
    assert (first["bulk"], plain["bulk"]) == (False, True)
    for terms in (wider(), wider(extent="similar"), wider(extent="pattern", under="workspace")):
        with pytest.raises(BasculeError) as refused:
            house.made.client.request("approvals_grant", ref=first["id"], **terms)
        assert refused.value.code == "grant_never"
    token = house.token(f"bulk-{program}")["token"]
    items = [{"id": each["id"], "digest": each["digest"]} for each in (plain, first)]
    with house.http(token) as client:
        for answer in ("approve", "deny"):
            assert client.post("/api/v1/decisions", json={"answer": answer, "items": items}).status_code == 403
        where = f"/api/v1/approvals/{first['id']}/grant"
        assert client.post(where, json={"digest": first["digest"], "extent": "exact"}).status_code == 403
        assert (house.state(first["id"]), house.state(plain["id"])) == ("pending", "pending")
        assert client.post("/api/v1/decisions", json={"answer": "approve", "items": items[1:]}).status_code == 200
    assert (house.state(first["id"]), house.state(plain["id"])) == ("approved", "pending")


def test_many_at_once_answers_what_was_shown_and_nothing_else(house: Reached) -> None:
    shown = [house.ask(f"many-{number}") for number in range(3)]
    later = house.ask("many-later")
    digests = [each["digest"] for each in shown]
    crossed = [{"id": shown[0]["id"], "digest": digests[1]}, {"id": shown[1]["id"], "digest": digests[1]}]
    every = [[*crossed], [{"id": shown[0]["id"], "digest": digests[0]}, {"id": later["id"], "digest": digests[0]}]]
    with house.http(house.token(f"many-{session()}")["token"]) as client:
        for items in every:
            assert client.post("/api/v1/decisions", json={"answer": "approve", "items": items}).status_code == 409
        for body in ({"answer": "approve"}, {"answer": "approve", "items": []}, {"answer": "approve", "all": True},
                     {"answer": "approve", "items": [], "agent": MAIN}):  # fmt: skip
            assert client.post("/api/v1/decisions", json=body).status_code == 400
        assert {house.state(each["id"]) for each in (*shown, later)} == {"pending"}
        items = [{"id": each["id"], "digest": each["digest"]} for each in shown]
        assert client.post("/api/v1/decisions", json={"answer": "approve", "items": items}).status_code == 200
    assert [house.again(f"many-{number}") for number in range(3)] == ["allow"] * 3
    assert house.again("many-later") == "ask"
