from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.channels.terminal.person import Terminal
from tests.cli.program import command, environment

from bascule.channels.terminal.chat import tool_lines

PROMPT = "? apr_1: yes, no, similar, show or later [y/n/s/show/later] "
OPEN = "[y/n/s/show/later/q] "


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, "chat", "bruba-main")
    terminal.until("bruba-main> ")
    yield terminal
    if terminal.child.poll() is None:
        terminal.child.kill()
        terminal.end()


def test_a_conversation(chat: Terminal) -> None:
    chat.type("hello\n")
    said = chat.until("bruba-main> ")
    assert "\n  you said \\x1b[1mhello\n" in said
    chat.type("/help\n")
    assert "/approvals" in chat.until("bruba-main> ")
    chat.type("/nothing\n")
    assert "no such command" in chat.until("bruba-main> ")
    chat.type("/reset\n")
    assert "reset: agent:bruba-main:main" in chat.until("bruba-main> ")
    chat.type("down\n")
    assert "! the model cannot be reached [model_down]" in chat.until("bruba-main> ")
    chat.type("/quit\n")
    assert chat.end() == 0


def test_control_d_leaves(chat: Terminal) -> None:
    chat.type("\x04")
    assert chat.end() == 0


@pytest.mark.parametrize(("answer", "state"), [("y", "approved"), ("no", "denied"), ("YES", "approved")])
def test_a_question_is_answered_right_there(chat: Terminal, answer: str, state: str) -> None:
    chat.type("ask\n")
    card = chat.until(PROMPT)
    assert "\n| path: /etc/motd\\u202e\n| two\n| lines\n? unanswered at" in card
    chat.type(f"{answer}\n")
    assert f"* {state}: apr_1" in chat.until("bruba-main> ")


def test_an_answer_typed_ahead_does_not_count(chat: Terminal) -> None:
    chat.type("ask\ny\ny\n")
    chat.until(PROMPT)
    chat.type("maybe\n")
    chat.until(PROMPT)
    chat.type("show\n")
    assert "| path: /etc/motd" in chat.until(PROMPT)
    chat.type("n\n")
    said = chat.until("bruba-main> ")
    assert "* denied: apr_1" in said
    assert "approved" not in chat.seen


def test_later_leaves_the_question_open_and_the_turn_waiting(chat: Terminal) -> None:
    chat.type("ask\n")
    chat.until(PROMPT)
    chat.type("later\n")
    chat.until("it waits until")
    chat.child.send_signal(signal.SIGINT)
    assert "! stopped" in chat.until("bruba-main> ")
    chat.type("/approvals\n")
    chat.until(OPEN)
    chat.type("y\n")
    assert "* approved: apr_1" in chat.until("bruba-main> ")
    chat.type("/approvals\n")
    assert "no question is open" in chat.until("bruba-main> ")


def test_control_c_stops_the_turn_and_not_the_chat(chat: Terminal) -> None:
    chat.type("wait\n")
    chat.until("wait\n  you said \\x1b[1mwait")
    chat.type("\x03")
    assert "! stopped" in chat.until("bruba-main> ")
    chat.type("hello\n")
    assert "you said" in chat.until("bruba-main> ")


def test_control_c_at_a_question_is_no_answer(chat: Terminal) -> None:
    chat.type("ask\n")
    chat.until(PROMPT)
    chat.type("\x03")
    said = chat.until("bruba-main> ")
    assert "! stopped" in said
    assert "approved" not in said


def test_send_on_a_terminal_asks_there(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "send", "bruba-main", "ask")
    terminal.until(PROMPT)
    terminal.type("y\n")
    terminal.until("* approved: apr_1")
    assert terminal.end() == 0


def test_chat_without_a_keyboard_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        command("chat", "bruba-main"), input=b"hello\n", capture_output=True, env=environment(tmp_path), check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"not_a_terminal" in done.stderr


def test_a_tool_line_says_what_how_and_why() -> None:
    report = {
        "call": {"tool": "exec", "args": {"command": "ls\n" + "x" * 200}},
        "decision": {
            "effect": "deny",
            "verdicts": [
                {"judge": "a", "effect": "allow", "code": "ok", "reason": "", "remedy": ""},
                {"judge": "l6", "effect": "deny", "code": "no_match", "reason": "not listed", "remedy": "list it"},
            ],
        },
        "outcome": None,
    }
    first, second = tool_lines(report)
    assert first.startswith("exec command=ls xxx")
    assert first.endswith("… -> deny")
    assert second == "l6: not listed (list it) [no_match]"
    report["outcome"] = {"ok": False, "exit": 3}
    assert tool_lines(report)[0].endswith("-> exit 3")
