from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.program import environment

from bascule.cli.sink import CLOSED_PIPE, Column, Sink, ascii_json, cell
from bascule.core.errors import Malformed, Unavailable

TEXT = st.text(st.characters() | st.characters(categories=["Cs", "Cf", "Cc", "Zs"]))


@given(st.recursive(TEXT | st.integers() | st.none(), lambda inner: st.dictionaries(TEXT, inner, max_size=3)))
def test_json_is_printable_ascii_and_loses_nothing(value: object) -> None:
    text = ascii_json(value)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("a\nb", "a\\nb"), (["a", "b"], "a, b"), (3, "3"), ({"a": "\x1b"}, '{"a": "\\u001b"}'), ([], "")],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text


class Stream(io.StringIO):
    def __init__(self, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        super().__init__()
        self._encoding, self._terminal = encoding, terminal

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal


def streams(monkeypatch: pytest.MonkeyPatch, **kind: bool) -> tuple[Stream, Stream]:
    out, err = Stream(**kind), Stream()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return out, err


COLUMNS = (Column("ID", "id"), Column("STATE", "state"))
ROWS = [{"id": "a\x1b[2J", "state": "allow"}, {"id": "[bold]b[/bold]", "state": "deny"}]


def test_a_table_off_a_terminal_is_plain_and_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = streams(monkeypatch)
    Sink(as_json=False).table(COLUMNS, [*ROWS, {"id": "x" * 500, "state": "ask"}], "nothing")
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[1].split() == ["a\\x1b[2J", "allow"]
    assert lines[2].split() == ["[bold]b[/bold]", "deny"]
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_colour_unless_it_is_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out, _ = streams(monkeypatch, terminal=True)
    Sink(as_json=False).table(COLUMNS, ROWS, "nothing")
    assert "\x1b[31m" in out.getvalue() or "\x1b[1m" in out.getvalue()
    for name, value in (("NO_COLOR", ""), ("TERM", "dumb")):
        with monkeypatch.context() as inner:
            inner.setenv(name, value)
            out, _ = streams(inner, terminal=True)
            Sink(as_json=False).table(COLUMNS, ROWS, "nothing")
            assert "\x1b" not in out.getvalue()
            assert "a\\x1b[2J" in out.getvalue()


def test_paint_is_ours_and_never_the_text_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    pieces = [("a\x1b[2J", "bold red"), ("b\n", "")]
    out, _ = streams(monkeypatch, terminal=True)
    Sink(as_json=False).painted(pieces)
    assert out.getvalue() == "\x1b[1;31ma\\x1b[2J\x1b[0mb\n"
    out, _ = streams(monkeypatch)
    Sink(as_json=False).painted(pieces)
    assert out.getvalue() == "a\\x1b[2Jb\n"


def test_a_narrow_terminal_gets_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    out, _ = streams(monkeypatch, terminal=True)
    Sink(as_json=False).table(COLUMNS, ROWS[:1], "nothing")
    assert out.getvalue() == "id:          a\\x1b[2J\nstate:       allow\n\n"


def test_a_column_in_which_nothing_stands_takes_no_room_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (*COLUMNS, Column("PROBLEMS", "problems"))
    monkeypatch.setenv("COLUMNS", "90")
    for terminal in (True, False):
        out, _ = streams(monkeypatch, terminal=terminal)
        Sink(as_json=False).table(columns, [{"id": "a", "state": "allow", "problems": []}], "nothing")
        assert ("PROBLEMS" in out.getvalue()) is not terminal


def test_values_stand_below_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = streams(monkeypatch)
    Sink(as_json=False).pairs([("a", "1"), ("nothing", ""), ("a name that is long", ["2", "3"])])
    assert out.getvalue() == "a:                   1\na name that is long: 2, 3\n"


def test_words_stay_whole_and_a_terminal_too_narrow_for_them_gets_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"id": "sessions_history, memory_search", "state": "words of another column " * 9}
    monkeypatch.setenv("NO_COLOR", "")
    for columns, block in (("90", False), ("62", False), ("60", False), ("59", True)):
        monkeypatch.setenv("COLUMNS", columns)
        out, _ = streams(monkeypatch, terminal=True)
        Sink(as_json=False).table(COLUMNS, [row], "nothing")
        assert out.getvalue().startswith("id: ") is block
        assert "sessions_history, " in out.getvalue().replace("\n", " ")
    monkeypatch.setenv("COLUMNS", "70")
    out, _ = streams(monkeypatch, terminal=True)
    Sink(as_json=False).table([Column(c * 20, c) for c in "abcd"], [dict.fromkeys("abcd", "x")], "nothing")
    assert out.getvalue().startswith("aaaaaaaaaaaaaaaaaaaa: ")


def test_an_empty_table_says_so_beside_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = streams(monkeypatch)
    Sink(as_json=False).table(COLUMNS, [], "nothing here")
    assert (out.getvalue(), err.getvalue()) == ("", "nothing here\n")
    Sink(as_json=True).table(COLUMNS, [], "nothing here")
    assert out.getvalue() == "[]\n"


def test_errors_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = streams(monkeypatch)
    error = Malformed("some_code", "two\nlines \x1b[1m", "do\x9bthis")
    Sink(as_json=False).error(error)
    Sink(as_json=True).error(error)
    first, second = err.getvalue().splitlines()
    assert first == "bascule: two lines \\x1b[1m (do\\x9bthis) [some_code]"
    assert json.loads(second)["error"]["code"] == "some_code"
    assert out.getvalue() == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_poor_character_set_never_fails(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    out = Stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    Sink(as_json=False).line("é 日 \ud800")
    out.getvalue().encode(encoding)
    assert "\\ud800" in out.getvalue()


def test_streams_that_are_not_there_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    sink = Sink(as_json=False)
    sink.line("x")
    sink.note("x")
    assert sink.interactive is False


@pytest.mark.parametrize("work", ["s.line('x' * 100_000)\ns.line('x')", "[s.line('x') for _ in range(100_000)]"])
def test_a_reader_that_has_gone_ends_the_program_quietly(work: str) -> None:
    program = f"from bascule.cli.sink import Sink\ns = Sink(as_json=False)\ns.line('first')\n{work}\n"
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(None)
    )
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(30) == CLOSED_PIPE
    assert child.stderr is not None
    assert child.stderr.read() == b""
    child.stderr.close()


def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(Unavailable) as caught:
            Sink(as_json=False).line("x")
    assert caught.value.code == "output_failed"
    assert os.path.exists("/dev/full")
