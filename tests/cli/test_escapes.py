"""Whatever a gateway, a file or an argument says, no verb lets it reach the reader's terminal as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.channels.terminal.person import Terminal
from tests.cli.poison import ARGUMENT, CORPUS, POISON, PoisonedService, RefusingService
from tests.cli.program import inside
from tests.cli.test_verbs import commands
from tests.control.simulated import listening

from bascule.cli.main import build
from bascule.cli.sink import visible

ASKING: list[tuple[str, ...]] = [
    ("status",),
    ("gateway", "status"),
    ("dashboard",),
    ("send", "bruba-main", "hello"),
    ("call", "bruba-main", "fine"),
    ("call", "bruba-main", "asks"),
    ("call", "bruba-main", "denied"),
    ("call", "bruba-main", "fails"),
    ("approvals", "list"),
    ("approvals", "show", "apr_1"),
    ("approvals", "approve", "apr_1"),
    ("approvals", "approve", "apr_1", "apr_2"),
    ("approvals", "approve", "apr_1", "--similar"),
    ("approvals", "deny", "apr_1"),
    ("approvals", "watch"),
    ("grants", "list"),
    ("grants", "revoke", "gr_0"),
    ("tokens", "create", "phone", "--scope", "read", "--agent", "*"),
    ("tokens", "list"),
    ("tokens", "revoke", "tok_0"),
    ("pairing", "list"),
    ("pairing", "approve", "KOFFER23"),
    ("contain", "bruba-main"),
    ("release", "bruba-main"),
    ("agents", "list"),
    ("agents", "show", "bruba-main"),
    ("sessions", "list"),
    ("sessions", "show", "s"),
    ("sessions", "reset", "s"),
    ("ledger", "tail"),
    ("ledger", "show", "7"),
    ("ledger", "show", "7", "--lineage"),
    ("sandbox", "explain", "bruba-main"),
    ("sandbox", "probe", "bruba-main"),
    ("sandbox", "list"),
    ("sandbox", "stop", "bruba-main"),
    ("sandbox", "recreate", "bruba-main"),
]

OFFLINE: list[tuple[str, ...]] = [
    ("init", "--team", ARGUMENT),
    ("config", "get", ARGUMENT),
    ("config", "check"),
    ("config", "diff", ARGUMENT.replace("\0", "")),
    ("ledger", "verify", "--file", ARGUMENT.replace("\0", "")),
    ("call", "bruba-main", "fine", ARGUMENT),
    ("call", "--batch", ARGUMENT.replace("\0", "")),
    ("call", "--batch", "-"),
    ("approvals", "approve", ARGUMENT),
    ("sandbox", "build", "--image", ARGUMENT),
    ("config", "verify", ARGUMENT),
    ("host", "check", ARGUMENT),
    ("host", "install", "--dry-run", "--operator", ARGUMENT.replace("\0", "")),
    ("host", "uninstall", ARGUMENT),
    ("host", "unit", ARGUMENT),
    ("host", "seatbelt", ARGUMENT),
    (ARGUMENT,),
    ("status", ARGUMENT),
    ("status", f"--{ARGUMENT}"),
]

ELSEWHERE = {("gateway", "start"), ("gateway", "stop"), ("gateway", "restart"), ("chat",)}
"""They say nothing of a gateway's but its pid and its errors, or nothing off a terminal."""


def clean(text: str) -> bool:
    return visible(text) == text and "\x1b" not in text and "\r" not in text


def test_every_verb_is_tried() -> None:
    leaves = set(commands(build()))
    tried = {leaf for leaf in leaves for words in (*ASKING, *OFFLINE) if words[: len(leaf)] == leaf}
    assert leaves - tried == ELSEWHERE


def test_the_corpus_would_be_seen() -> None:
    assert [text for text in CORPUS if clean(text)] == [CORPUS[-1]]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    service = PoisonedService()
    service.ask("apr_2")
    service.grants["gr_0"] = {
        "id": "gr_0", "agent": "a", "tool": "t", "state": "active", "session": "s", "created": "c", "expires": "e",
        "uses_left": None, "used": 0, "granted_by": "g", "approval": "apr_0", "covers": ["x", "y"],
    }  # fmt: skip
    service.tokens["tok_0"] = {
        "id": "tok_0", "name": "n", "state": "active", "scopes": ["read"], "agents": ["*"], "session": "",
        "trusted": False, "person": "p", "created": "c", "expires": "e", "last_used": "l",
    }  # fmt: skip
    with listening(tmp_path, service):
        yield tmp_path


@pytest.mark.parametrize("words", ASKING)
def test_what_a_gateway_says_reaches_no_terminal_raw(home: Path, words: tuple[str, ...]) -> None:
    ran = inside(home, *words)
    assert "\\x1b" in ran.out + ran.err, "the poison was in what it said"
    assert clean(ran.out)
    assert clean(ran.err)


@pytest.mark.parametrize("words", ASKING)
def test_json_is_ascii_and_whole(home: Path, words: tuple[str, ...]) -> None:
    ran = inside(home, *words, "--json")
    for line in (ran.out + ran.err).splitlines():
        assert line.isascii()
        assert line.isprintable()
        json.loads(line)
    assert json.dumps(POISON)[1:-1].replace("\x7f", "\\u007f") in ran.out + ran.err


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("words", ASKING)
def test_an_error_is_one_clean_line(tmp_path: Path, words: tuple[str, ...], form: tuple[str, ...]) -> None:
    with listening(tmp_path, RefusingService()):
        ran = inside(tmp_path, *words, *form)
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert clean(ran.err)
    assert ran.status != 0


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("words", OFFLINE)
def test_names_and_files_reach_no_terminal_raw(tmp_path: Path, words: tuple[str, ...], form: tuple[str, ...]) -> None:
    (tmp_path / "bascule.json5").write_text(json.dumps({"agents": {POISON: POISON}}, ensure_ascii=True), "utf-8")
    line = json.dumps({"agent": ARGUMENT, "tool": ARGUMENT, "args": {}, ARGUMENT: 1})
    ran = inside(tmp_path, *words, *form, stdin=line.encode() + b"\n" + ARGUMENT.encode())
    assert ran.status != 0
    assert ran.out + ran.err
    assert clean(ran.err)
    assert clean(ran.out)


def test_a_conversation_and_its_questions_reach_the_terminal_clean(tmp_path: Path) -> None:
    with listening(tmp_path, PoisonedService()):
        terminal = Terminal(tmp_path, "chat", "bruba-main")
        for waits, types in (
            ("> ", "ask\n"),
            ("later] ", "show\n"),
            ("later] ", "s\n"),
            ("yes to all of that? [y/n] ", "y\n"),
            ("to end it", "/approvals\n"),
            ("no question is open", "/reset\n"),
            ("reset: ", "/quit\n"),
        ):
            terminal.until(waits)
            terminal.type(types)
        assert terminal.end() == 0
    assert terminal.seen.count("\\x1b]52;c;") > 5
    assert clean(terminal.seen.replace("\r\n", "\n"))
