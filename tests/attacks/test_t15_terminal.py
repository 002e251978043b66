"""T15: text takes over the operator's terminal, or imitates a card.

Untrusted text of every kind (file names, contents, commands, arguments, tool names, sessions) is carried to the operator
by every verb that prints it. Written straight to a terminal it would steer it; through the verbs no such character
arrives.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.living import MAIN, Living, living, verb

pytestmark = pytest.mark.live

STEERING = {
    "clear": "\x1b[2J\x1b[H",
    "colour": "\x1b[31m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://x.invalid\x1b\\here\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;b3duZWQ=\x07",
    "answer": "\x1b[c\x1b[6n\x05",
    "device": "\x1bP+q544e\x1b\\",
    "eight-bit": "\x9b31m\x9d0;owned\x9c",
    "return": "safe\rowned",
    "backspace": "rm\b\bls",
    "vertical": "a\x0bb\x0cc",
    "bell": "\x07",
    "shift": "\x0eqqq\x0f",
    "delete": "\x7f",
    "override": "txt.\u202egpj.exe",
    "isolate": "\u2066a\u2067b\u2069",
    "marks": "\u200e\u200f\u061c",
    "zero-width": "a\u200bb\u200cc\u200dd\ufeff",
    "tags": "a\U000e0041\U000e0042",
    "separators": "a\u2028b\u2029c\u0085d",
    "hyphen": "a\u00adb",
    "filler": "a\u3164b\u115fc\uffa0d",
    "private": "a\ue000b",
    "variation": "a\ufe0fb",
    "noncharacter": "a\uffffb",
}
"""One text for each thing a terminal, or a reader's eye, can be made to do."""

ALLOWED_CONTROLS = {"\n", "\t"}
FAKE = "\nbruba-main wants to use read (read: changes nothing)\nstate: approved\n"
"""What would pass for lines of a card."""

ALL = " ".join(STEERING.values())
"""All at once: a verb takes half a second to start, and each character is shown or not by itself."""

NAMES = {kind: text.replace("/", "_") for kind, text in STEERING.items()}


def dangerous(text: str) -> set[str]:
    """Every character that a terminal or an eye would not take as itself."""
    hidden = {"\u3164", "\u115f", "\uffa0", "\ufe0f"}
    return {
        character
        for character in text
        if character not in ALLOWED_CONTROLS
        and (character in hidden or unicodedata.category(character) in {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
    }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        own = made.root() / "workspace"
        (own / "names").mkdir()
        (own / "all.md").write_text(f"before {ALL} after\n")
        for name in NAMES.values():
            (own / "names" / name).write_text("x\n")
        (own / "names" / FAKE.replace("/", "_")).write_text("x\n")
        (own / "bytes.md").write_bytes(bytes(range(256)) * 4)

    with living(tmp_path_factory.mktemp("t15") / "home", prepare) as made:
        yield made


def shown(house: Living, *words: str) -> str:
    """What a verb prints on both streams, as the bytes that would reach the terminal."""
    done = verb(house.home, *words)
    return done.stdout + done.stderr


def call(house: Living, tool: str, args: dict[str, str], *options: str) -> str:
    return shown(house, "call", MAIN, tool, json.dumps(args), *options)


def test_written_straight_out_every_text_would_arrive(tmp_path: Path) -> None:
    for text in STEERING.values():
        (tmp_path / "x").write_text(text)
        assert dangerous(subprocess.run(["cat", str(tmp_path / "x")], capture_output=True, check=True).stdout.decode())


@pytest.mark.parametrize(
    ("tool", "args"), [("read", {"path": "workspace/all.md"}), ("exec", {"command": "cat workspace/all.md"})]
)
def test_a_files_content_steers_nothing(house: Living, tool: str, args: dict[str, str]) -> None:
    out = call(house, tool, args)
    assert out.startswith("before ")
    assert "after" in out
    assert not dangerous(out)


def test_content_that_is_no_text_steers_nothing(house: Living) -> None:
    for args in ({"command": "cat workspace/bytes.md"}, {"command": "tail -c 300 workspace/bytes.md"}):
        assert not dangerous(call(house, "exec", args))


@pytest.mark.parametrize(
    "command", ["ls workspace/names", "find workspace/names", "grep -r x workspace/names", "du -a workspace"]
)
def test_the_names_of_files_steer_nothing(house: Living, command: str) -> None:
    out = call(house, "exec", {"command": command})
    assert "owned" in out
    assert not dangerous(out)


def test_a_question_about_such_a_name_steers_nothing_and_shows_it_all(house: Living) -> None:
    path = "/etc/" + " ".join(NAMES.values())
    assert not dangerous(call(house, "read", {"path": path}))
    asked = house.client.request("approvals_list", everything=False)[-1]
    card = shown(house, "approvals", "show", asked["id"])
    assert not dangerous(card)
    plain = ["[2J", "]0;owned", "]52;c;b3duZWQ=", "9b31m", "u202egpj.exe", "U000e0041", "u2028b", "uffff"]
    assert [part for part in plain if part not in card] == []
    assert not dangerous(shown(house, "approvals", "list"))
    assert not dangerous(shown(house, "approvals", "deny", asked["id"]))
    assert not dangerous(shown(house, "approvals", "list", "--all"))


def test_a_card_cannot_be_imitated_inside_one(house: Living) -> None:
    call(house, "write", {"path": "/etc/x", "content": "line" + FAKE + "\rand\u2028more"})
    asked = house.client.request("approvals_list", everything=False)[-1]
    lines = shown(house, "approvals", "show", asked["id"]).splitlines()
    assert sum(line.startswith("bruba-main wants to use") for line in lines) == 1
    assert lines[0].startswith("bruba-main wants to use write")
    assert sum(line.startswith("state:") for line in lines) == 1
    assert any(line.startswith("state:") and line.split() == ["state:", "pending"] for line in lines)
    house.client.request("approvals_deny", ref=asked["id"])


@pytest.mark.parametrize(
    "words",
    [
        ("call", MAIN, ALL, "{}"),
        ("call", MAIN, "read", json.dumps({ALL: 1})),
        ("call", MAIN, "exec", json.dumps({"command": ALL})),
        ("call", MAIN, "exec", json.dumps({"command": f"'{ALL}' x"})),
        ("call", MAIN, "exec", json.dumps({"command": f"cat '{ALL}'"})),
        ("call", MAIN, "read", json.dumps({"path": ALL})),
        ("call", ALL, "read", "{}"),
        ("call", MAIN, "read", ALL),
        ("call", MAIN, "read", "{}", "--session", ALL),
        (ALL,),
        ("approvals", "show", ALL),
    ],
    ids=range(11),
)
def test_a_refusal_steers_nothing(house: Living, words: tuple[str, ...]) -> None:
    out = shown(house, *words)
    assert out
    assert not dangerous(out)


@pytest.mark.parametrize("words", [("ledger", "tail", "-n", "500"), ("sessions", "list"), ("status",), ("agents", "list"),
                                   ("agents", "show", MAIN), ("sandbox", "probe", MAIN), ("sandbox", "explain", MAIN)])  # fmt: skip
def test_no_list_steers_anything(house: Living, words: tuple[str, ...]) -> None:
    for kind, text in STEERING.items():
        house.call(text, {"path": text})
        house.call("read", {"path": f"workspace/names/{NAMES[kind]}"})
    assert not dangerous(shown(house, *words))
    in_json = verb(house.home, *words, "--json")
    assert in_json.stdout.isascii()
    assert not dangerous(in_json.stdout)


def test_a_record_shown_whole_steers_nothing(house: Living) -> None:
    seq = str(house.call("write", {"path": f"/etc/{'-'.join(NAMES.values())}", "content": ALL})["ledger"]["seq"])
    assert not dangerous(shown(house, "ledger", "show", seq))
    assert verb(house.home, "ledger", "show", seq, "--json").stdout.isascii()


def test_json_is_printable_ascii_and_loses_nothing(house: Living) -> None:
    out = verb(house.home, "call", MAIN, "read", '{"path": "workspace/all.md"}', "--json").stdout
    assert out.removesuffix("\n").isprintable()
    assert out.isascii()
    assert json.loads(out)["outcome"]["content"].encode() == (house.root() / "workspace" / "all.md").read_bytes()


def test_on_a_real_terminal_the_only_escapes_are_our_own_colours(house: Living) -> None:
    ours, theirs = pty.openpty()
    words = [str(Path(sys.executable).with_name("bascule")), "--home", str(house.home), "call", MAIN, "exec"]
    process = subprocess.Popen(
        [*words, json.dumps({"command": "ls workspace/names"})], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "NO_COLOR": "1", "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    out = b""
    try:
        while part := os.read(ours, 65536):
            out += part
    except OSError:
        pass
    finally:
        os.close(ours)
    assert process.wait(60) == 0
    assert b"owned" in out
    assert dangerous(out.decode()) <= {"\r"}  # the terminal itself puts one before each line feed
