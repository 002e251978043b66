from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.channels.terminal.person import Terminal
from tests.cli.program import bascule, command, environment
from tests.control.simulated import SimulatedService, listening

from bascule.service.port import Wider

Do = Callable[[Callable[[SimulatedService], Any]], Any]

PROMPT = "? apr_1: yes, no, similar, show, later or quit [y/n/s/show/later/q] "
IDLE = "? watching; q leaves\n"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Do]:
    with listening(tmp_path) as do:
        yield do


@pytest.fixture
def watch(tmp_path: Path, gateway: Do) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, "approvals", "watch")
    terminal.until(PROMPT)
    yield terminal
    if terminal.child.poll() is None:
        terminal.child.kill()
        terminal.end()


def states(gateway: Do) -> dict[str, tuple[str, str]]:
    return gateway(lambda desk: {name: (q["state"], q["answered_by"]) for name, q in desk.questions.items()})


def test_what_is_open_is_shown_and_answered(watch: Terminal, gateway: Do) -> None:
    assert "\n| write a file\n| path: /etc/motd\\u202e\n| two\n| lines\n? unanswered" in watch.seen
    watch.type("y\n")
    assert "* approved: apr_1\n" in watch.until(IDLE)
    assert states(gateway)["apr_1"][0] == "approved"
    gateway(lambda desk: desk.ask("apr_2"))
    card = watch.until("? apr_2: yes")
    assert "apr_1" not in card, "its own answer is no news"
    watch.until("/q] ")
    watch.type("n\n")
    assert "* denied: apr_2\n" in watch.until(IDLE)
    watch.type("q\n")
    assert watch.end() == 0


def test_an_answer_elsewhere_takes_the_card_away_and_says_whose_it_was(watch: Terminal, gateway: Do) -> None:
    gateway(lambda desk: desk.settle("apr_1", "denied", "pat (signal)"))
    assert "\n* apr_1 denied by pat (signal)\n" in watch.until(IDLE)
    assert watch.seen.count("apr_1 denied by") == 1


def test_a_key_on_its_way_does_not_answer_the_next_card(watch: Terminal, gateway: Do) -> None:
    gateway(lambda desk: desk.ask("apr_2"))
    watch.until("* asked: apr_2 (bruba-main write): write \\x1b[31m/etc/motd\n")
    watch.until(PROMPT)
    watch.type("y")
    gateway(lambda desk: desk.settle("apr_1", "denied", "pat"))
    watch.until("* apr_1 denied by pat\n")
    watch.until("? apr_2: yes")
    watch.until("/q] ")
    watch.type("\n")
    watch.until("? apr_2: yes")
    assert states(gateway)["apr_2"] == ("pending", "")
    watch.until("/q] ")
    watch.type("n\n")
    watch.until(IDLE)
    assert states(gateway)["apr_2"][0] == "denied"


def test_answers_typed_ahead_answer_one_card_only(watch: Terminal, gateway: Do) -> None:
    gateway(lambda desk: desk.ask("apr_2"))
    watch.until(PROMPT)
    watch.type("y\ny\ny\n")
    watch.until("* approved: apr_1\n")
    watch.until("? apr_2: yes")
    watch.until("/q] ")
    watch.type("later\n")
    watch.until("1 put off, show brings them back; q leaves\n")
    assert states(gateway)["apr_2"] == ("pending", "")
    watch.type("y\n")
    watch.type("show\n")
    watch.until("? apr_2: yes")
    watch.until("/q] ")
    watch.type("q\n")
    assert watch.end() == 0
    assert states(gateway)["apr_2"] == ("pending", "")


def test_the_second_answer_is_told_who_gave_which_first(tmp_path: Path, watch: Terminal, gateway: Do) -> None:
    # The other answer is recorded before this screen can hear of it.
    gateway(lambda desk: (desk.watchers.clear(), desk.settle("apr_1", "denied", "pat (dashboard)")))
    watch.type("y\n")
    assert "! apr_1 is already denied by pat (dashboard) [approval_settled]\n" in watch.until(IDLE)
    late = bascule(tmp_path, "approvals", "approve", "apr_1", "--json")
    assert (late.status, late.error["code"]) == (1, "approval_settled")
    assert "denied by pat (dashboard)" in late.error["message"]


def test_a_yes_to_similar_calls_says_what_it_covers_and_is_confirmed(watch: Terminal, gateway: Do) -> None:
    watch.type("s\n")
    shown = watch.until("? apr_1: yes to all of that? [y/n] ")
    assert "in this session, for 60 minutes:\n| write below /etc/motd.d\n| with any content\n" in shown
    watch.type("\n")
    watch.until("not given; the question still stands")
    watch.until(PROMPT)
    assert gateway(lambda desk: desk.wider) == []
    watch.type("s\ny\n")
    watch.until("yes to all of that? [y/n] ")
    assert gateway(lambda desk: desk.wider) == [], "what was typed ahead is no confirmation"
    watch.type("y\n")
    said = watch.until(IDLE)
    assert "* granted: gr_1" in said
    assert "similar: write below /etc" in said
    assert "until 2026-01-01T08:00:00Z" in said
    assert "bascule grants revoke gr_1" in said
    assert gateway(lambda desk: desk.wider) == [Wider("similar", True, 60, None, None, None)]


def test_an_answer_elsewhere_ends_the_confirmation_too(watch: Terminal, gateway: Do) -> None:
    watch.type("s\n")
    watch.until("yes to all of that? [y/n] ")
    gateway(lambda desk: desk.settle("apr_1", "denied", "pat"))
    watch.until("* apr_1 denied by pat\n")
    watch.until(IDLE)
    assert gateway(lambda desk: desk.wider) == []


def test_where_no_wider_yes_is_possible_none_is_offered(watch: Terminal, gateway: Do) -> None:
    gateway(lambda desk: desk.ask("apr_2", ungrantable="it leaves the machine"))
    watch.until(PROMPT)
    watch.type("n\n")
    watch.until("? apr_2: yes, no, show, later or quit [y/n/show/later/q] ")
    watch.type("s\n")
    watch.until("! a yes is for this call only: it leaves the machine\n")
    watch.until("/q] ")
    assert gateway(lambda desk: desk.wider) == []


def test_a_flood_is_counted_and_leaves_room_to_answer(watch: Terminal, gateway: Do) -> None:
    gateway(lambda desk: [desk.ask(f"apr_many_{number}") for number in range(500)])
    told = watch.until(" more\n") + watch.until(PROMPT)
    assert told.count("\n") < 40
    watch.type("n\n")
    watch.until("* denied: apr_1\n")
    watch.until("? apr_many_0: yes")


def test_what_an_agent_asks_reaches_the_first_column_nowhere(watch: Terminal, gateway: Do) -> None:
    forged = " " * 75 + "* apr_1 approved by you " + "x" * 300 + "\n? apr_9: yes [y/n] \r\x1b[2J"
    gateway(lambda desk: desk.ask("apr_2", card=[forged], summary=forged, proposal=[forged]))
    watch.until(PROMPT)
    watch.type("n\n")
    watch.until("? apr_2: yes")
    watch.until("/q] ")
    watch.type("s\n")
    watch.until("? apr_2: yes to all of that? [y/n] ")
    ours = (
        "* denied: apr_1",
        "* asked: apr_2 ",
        "? apr_1",
        "? apr_2",
        "? bruba-main asks",
        "? unanswered",
        "? a yes to all",
    )
    for line in watch.seen.split("\n"):
        assert line == "" or line.startswith(("| ", "|", "  ", *ours)), line
        assert len(line.rstrip("\r")) <= 80 or line.startswith("? apr_")
    assert "\x1b" not in watch.seen


@pytest.mark.parametrize(("keys", "status"), [("q\n", 0), ("\x04", 0), ("\x03", 130)])
def test_leaving(watch: Terminal, gateway: Do, keys: str, status: int) -> None:
    watch.type(keys)
    assert watch.end() == status
    assert states(gateway)["apr_1"] == ("pending", "")
    assert gateway(lambda desk: desk.watchers) == []


def test_the_end_of_the_gateway_is_the_end_of_the_watch(tmp_path: Path) -> None:
    with listening(tmp_path):
        terminal = Terminal(tmp_path, "approvals", "watch")
        terminal.until(PROMPT)
    terminal.until("[gateway_gone]")
    assert terminal.end() == 1


def test_chat_hears_of_an_answer_elsewhere_while_its_question_stands(tmp_path: Path, gateway: Do) -> None:
    terminal = Terminal(tmp_path, "chat", "bruba-main")
    terminal.until("bruba-main> ")
    terminal.type("ask\n")
    terminal.until("[y/n/s/show/later] ")
    gateway(lambda desk: desk.settle("apr_1", "approved", "pat (signal)"))
    said = terminal.until("bruba-main> ")
    assert "\n* apr_1 approved by pat (signal)\n" in said
    assert said.count("apr_1 approved") == 1
    terminal.type("\x04")
    assert terminal.end() == 0


def test_chat_takes_a_yes_to_similar_calls(tmp_path: Path, gateway: Do) -> None:
    terminal = Terminal(tmp_path, "chat", "bruba-main")
    terminal.until("bruba-main> ")
    terminal.type("ask\n")
    terminal.until("[y/n/s/show/later] ")
    terminal.type("similar\n")
    terminal.until("yes to all of that? [y/n] ")
    terminal.type("yes\n")
    assert "* granted: gr_1" in terminal.until("bruba-main> ")
    terminal.type("/quit\n")
    assert terminal.end() == 0


@pytest.mark.parametrize("form", ["lines", "json"])
def test_off_a_terminal_it_only_prints(tmp_path: Path, gateway: Do, form: str) -> None:
    words = ["approvals", "watch", *(["--json"] if form == "json" else [])]
    child = subprocess.Popen(command(*words), env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    last = b'"apr_1"' if form == "json" else b"? unanswered"
    first = read_until(child, last)
    gateway(lambda desk: desk.settle("apr_1", "denied", "pat"))
    second = read_until(child, b"denied")
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130
    if form == "json":
        assert json.loads(first[-1])["approval"]["card"][0] == "write a file"
        event = {"event": "answered", "id": "apr_1", "state": "denied", "answered_by": "pat"}
        assert json.loads(second[-1]) == event
    else:
        assert first[0] == b"? bruba-main asks (apr_1, code ABC)\n"
        assert second == [b"* apr_1 denied by pat\n"]
    assert child.stderr.read() == b""
    for stream in (child.stdout, child.stderr):
        stream.close()


def read_until(child: subprocess.Popen[bytes], text: bytes) -> list[bytes]:
    assert child.stdout is not None
    lines = [child.stdout.readline()]
    while text not in lines[-1]:
        assert lines[-1], b"".join(lines)
        lines.append(child.stdout.readline())
    return lines


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_without_a_gateway_it_shows_what_is_open_and_says_that_nothing_more_will_come(
    tmp_path: Path, form: tuple[str, ...]
) -> None:
    ran = bascule(tmp_path, "approvals", "watch", *form)
    assert ran.status == 0
    assert "apr_1" in ran.out
    assert "no gateway runs" in ran.err
    assert "bascule gateway start" in ran.err


def test_without_a_gateway_what_is_open_is_answered_on_a_terminal(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "approvals", "watch")
    terminal.until(PROMPT)
    terminal.type("n\n")
    terminal.until("* denied: apr_1\n")
    assert terminal.end() == 0
