"""Turns of a scripted model through a real gateway, by the verbs an operator uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.killing import Aside, client_of, open_question, size
from tests.living import MAIN, Living, living, made_home, verb
from tests.ordinary import until

pytestmark = [pytest.mark.live, pytest.mark.slow]

OFFERED = ["edit", "exec", "read", "write"]


def line(say: str = "", *calls: tuple[str, dict[str, Any] | str], **more: Any) -> str:
    made = {"calls": [{"tool": tool, "args": args} for tool, args in calls]} if calls else {}
    return json.dumps({**({"say": say} if say else {}), **made, **more})


def script(outside: Path) -> str:
    """One conversation: each line is what the model does next, whatever it is told."""
    return "\n".join([
        line("looking", ("write", {"path": "workspace/n.md", "content": "note"}), ("read", {"path": "workspace/n.md"})),
        line("wrote and read", expect={"contains": "note", "tools": OFFERED}),
        line("", ("web_fetch", {"url": "https://example.org/"}), ("nope", {}), ("read", "{not json"), ("read", {})),
        line("refused", expect={"contains": "refused"}),
        line("", ("write", {"path": str(outside), "content": "x", "append": True})),
        line("written", expect={"contains": "wrote 1 bytes"}),
        line("", ("write", {"path": str(outside), "content": "y", "append": True})),
        line("not written", expect={"contains": "the operator said no"}),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    base = tmp_path_factory.mktemp("turns")
    (base / "outside").touch()
    (base / "outside").chmod(0o666)

    def prepare(made: Living) -> None:
        (made.home / "script.jsonl").write_text(script(base / "outside"))
        model = 'models: { default: "script:script.jsonl",'
        made.change("bascule.json5", lambda text: text.replace("models: {", model, 1))
        (made.home / "wants.jsonl").write_text(line("x", expect={"tools": ["web_fetch"]}))
        other = 'id: "bruba-rex", model: "script:wants.jsonl",'
        made.change("bascule.json5", lambda text: text.replace('id: "bruba-rex",', other, 1))

    with living(base / "home", prepare) as made:
        yield made


def sent(house: Living, text: str, session: str) -> dict[str, Any]:
    done = verb(house.home, "send", MAIN, text, "--session", session, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def transcript(house: Living, session: str) -> str:
    done = verb(house.home, "sessions", "show", f"agent:{MAIN}:{session}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(house: Living, session: str) -> str:
    """The same over the open connection: asking again and again costs nothing."""
    return json.dumps(house.client.request("sessions_show", session=session))


def ask(house: Living, session: str, text: str = "go") -> Aside:
    def stream() -> list[dict[str, Any]]:
        with client_of(house.home) as client:
            return [dict(event) for event in client.stream("send", None, agent=MAIN, text=text, session=session)]

    return Aside(stream)


def test_a_whole_conversation(house: Living) -> None:
    outside = house.home.with_name("outside")
    first = sent(house, "write it down", "talk")
    assert first["text"].endswith("wrote and read")
    assert [call["call"]["tool"] for call in first["calls"]] == ["write", "read"]
    assert "refused" in sent(house, "now the web", "talk")["text"]
    told = transcript(house, "talk")
    assert "write it down" in told
    answers = [part for part in told.splitlines() if part.strip().startswith("refused:")]
    assert len(answers) == 4
    assert all("apr_" not in answer for answer in answers)
    turn = ask(house, "talk")
    question = open_question(house)
    shown = verb(house.home, "approvals", "show", question)
    assert str(outside) in shown.stdout
    assert verb(house.home, "approvals", "approve", question).returncode == 0
    assert turn.join()[-1]["text"] == "written"
    assert outside.read_text() == "x"
    turn = ask(house, "talk")
    assert verb(house.home, "approvals", "deny", open_question(house)).returncode == 0
    assert turn.join()[-1]["text"] == "not written"
    assert outside.read_text() == "x"
    assert question not in transcript(house, "talk")
    listed = json.loads(verb(house.home, "sessions", "list", MAIN, "--json").stdout)
    assert f"agent:{MAIN}:talk" in {row["id"] for row in listed}
    reset = verb(house.home, "sessions", "reset", f"agent:{MAIN}:talk")
    assert reset.returncode == 0
    assert "write it down" not in transcript(house, "talk")
    assert sent(house, "from the beginning", "talk")["text"].endswith("wrote and read")


def test_a_tool_that_is_denied_is_not_offered(house: Living) -> None:
    done = verb(house.home, "send", "bruba-rex", "go")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "expected the tools web_fetch to be offered" in done.stderr


def test_two_at_once_in_one_session(house: Living) -> None:
    session, outside = "race", house.home.with_name("outside")
    sent(house, "one", session)
    sent(house, "two", session)
    before = size(outside)
    first = ask(house, session)
    question = open_question(house)
    second = verb(house.home, "send", MAIN, "me too", "--session", session)
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.count("\n") == 1
    assert "[session_busy]" in second.stderr
    third = verb(house.home, "send", MAIN, "from another one", "--session", "race-other")
    assert third.returncode == 0
    house.client.request("approvals_approve", ref=question)
    assert first.join()[-1]["text"] == "written"
    assert size(outside) == before + 1


def test_a_turn_whose_asker_leaves_is_stopped_with_its_question(house: Living) -> None:
    session, outside = "leaves", house.home.with_name("outside")
    sent(house, "one", session)
    sent(house, "two", session)
    before = size(outside)
    client = client_of(house.home)
    events = client.stream("send", None, agent=MAIN, text="go", session=session)
    while next(events)["event"] != "approval":
        pass
    question = open_question(house)
    client.close()
    assert until(lambda: house.client.request("approvals_show", ref=question)["state"] == "cancelled")
    assert "the operator stopped the turn" in transcript(house, session)
    assert size(outside) == before
    # The session takes new words: the script's next line is reached, though it hopes for more than it is told.
    again = verb(house.home, "send", MAIN, "and on", "--session", session)
    assert "[script_expectation]" in again.stderr


def test_without_a_gateway_a_turn_that_asks_waits_for_the_next_one(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o666)
    home = Living(tmp_path / "home")
    made_home(home.home)
    asks = line("", ("write", {"path": str(outside), "content": "x", "append": True}))
    (home.home / "script.jsonl").write_text(f"{asks}\n{line('went on')}\n")
    model = 'models: { default: "script:script.jsonl",'
    home.change("bascule.json5", lambda text: text.replace("models: {", model, 1))
    sending = verb(home.home, "send", MAIN, "go")
    assert (sending.returncode, "bascule gateway start" in sending.stderr) == (3, True)
    waiting = json.loads(verb(home.home, "approvals", "list", "--json").stdout)
    assert [row["state"] for row in waiting] == ["pending"]
    assert "[session_busy]" in verb(home.home, "send", MAIN, "again").stderr
    assert verb(home.home, "approvals", "approve", waiting[0]["id"]).returncode == 0
    assert outside.read_text() == ""
    home.start()
    try:
        assert until(lambda: outside.read_text() != "")
        assert until(lambda: "went on" in told(home, f"agent:{MAIN}:main"))
        assert "went on" in transcript(home, "main")
        assert outside.read_text() == "x"
    finally:
        home.stop()
    verb(home.home, "sessions", "reset", f"agent:{MAIN}:main")
    assert verb(home.home, "send", MAIN, "go").returncode == 3
    assert verb(home.home, "sessions", "reset", f"agent:{MAIN}:main").returncode == 0
    assert json.loads(verb(home.home, "approvals", "list", "--json").stdout) == []
    assert outside.read_text() == "x"
