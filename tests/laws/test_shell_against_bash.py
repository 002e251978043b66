"""Whatever our lexer and planner accept, real bash reads the same way: words, redirects, pipes, order of steps.

Bash runs each line with an empty ``PATH``; its own hook for commands that are not found reports the words and where
the three streams point, and returns a status made from the number of words, so that ``&&`` and ``||`` take both ways.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.cases.commands import ACCEPTED, REFUSED

from bascule.core.errors import Malformed
from bascule.core.plan import Command, Connector, Plan, Step, Word
from bascule.core.quoting import quote
from bascule.shell import lexer, planner

pytestmark = pytest.mark.live

BASH = "/bin/bash"
HARNESS = r"""
enable -n echo test [ kill pwd true false printf
command_not_found_handle() {
    enable printf
    me=$BASHPID
    streams=$(/bin/readlink "/proc/$me/fd/0" "/proc/$me/fd/1" "/proc/$me/fd/2")
    mapfile -t streams <<< "$streams"
    printf '%s\0' word "$#" "$@" "${streams[@]}" >&9
    return $(($# % 2))
}
PATH=/nonexistent
set -f
while IFS= read -r -d '' line <&8; do
    eval -- "$line"
    enable printf; printf 'end\0' >&9; enable -n printf
done
"""

Record = tuple[tuple[str, ...], str, str, str]


def read(line: str) -> Plan | None:
    """The plan of a line, without the second opinion: it may only make the accepted set smaller."""
    try:
        return planner.plan(lexer.tokens(line))
    except Malformed:
        return None


def fits_harness(plan: Plan) -> bool:
    """Names with a slash do not reach the hook, and files are made in one directory only."""
    files = [name for command in plan.commands for name in (command.streams.stdin, command.streams.stdout) if name]
    # Bash's own `pwd`, `kill` … are switched off; its other builtins our planner refuses.
    return all("/" not in command.argv[0] for command in plan.commands) and all(
        name == "/dev/null" or ("/" not in name and name not in {".", ".."} and len(name.encode()) < 200)
        for name in files
    )


def bash_reads(lines: Sequence[str], plans: Sequence[Plan]) -> list[list[Record]]:
    """What bash made of each line."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory, "work")
        work.mkdir()
        for plan in plans:
            for command in plan.commands:
                if command.streams.stdin not in {None, "/dev/null"}:
                    Path(work, command.streams.stdin or "").touch()
        names = {name: Path(directory, name) for name in ("script", "lines", "result", "out", "err")}
        names["script"].write_text(HARNESS)
        names["lines"].write_bytes(b"".join(line.encode() + b"\0" for line in lines))
        with names["out"].open("wb") as out, names["err"].open("wb") as err, open("/dev/zero", "rb") as zero:
            subprocess.run(
                [BASH, "--norc", "--noprofile", "-c", 'exec 8<"$1" 9>>"$2"; source "$3"', "bash",
                 names["lines"], names["result"], names["script"]],
                cwd=work, env={"LC_ALL": "C.UTF-8", "HOME": "/nonexistent"},
                stdin=zero, stdout=out, stderr=err, check=False, timeout=120,
            )  # fmt: skip
        told = names["result"].read_bytes().decode("utf-8", "surrogateescape").split("\0")
        return list(_records(told, directory))


def _records(fields: list[str], directory: str) -> Iterator[list[Record]]:
    found: list[Record] = []
    at = 0
    while at < len(fields) - 1:
        if fields[at] == "end":
            yield found
            found, at = [], at + 1
            continue
        assert fields[at] == "word"
        count = int(fields[at + 1])
        words = tuple(fields[at + 2 : at + 2 + count])
        links = fields[at + 2 + count : at + 5 + count]
        stdin, stdout, stderr = (_stream(link, directory) for link in links)
        merged = links[1] == links[2] and stdout != "/dev/null"
        found.append((words, stdin, stdout, "out" if merged else stderr))
        at += 5 + count


def _stream(link: str, directory: str) -> str:
    if link.startswith("pipe:"):
        return "pipe"
    if link in {"/dev/zero", f"{directory}/out", f"{directory}/err"}:
        return "caller"
    return link.removeprefix(f"{directory}/work/")


def foretold(plan: Plan) -> list[list[Record]]:
    """What the plan says will run: the commands of each step whose turn comes."""
    steps: list[list[Record]] = []
    status = 0
    for step in plan.steps:
        if (step.connector is Connector.AND and status) or (step.connector is Connector.OR and not status):
            continue
        last = len(step.pipeline) - 1
        steps.append([_record(command, at > 0, at < last) for at, command in enumerate(step.pipeline)])
        status = len(step.pipeline[-1].words) % 2
    return steps


def _record(command: Command, from_pipe: bool, to_pipe: bool) -> Record:
    streams = command.streams
    words = tuple(_plain(word) for word in command.words)
    stdin = streams.stdin or ("pipe" if from_pipe else "caller")
    stdout = streams.stdout or ("pipe" if to_pipe else "caller")
    return words, stdin, stdout, {"err": "caller", "null": "/dev/null", "out": "out"}[streams.stderr]


def _plain(word: Word) -> str:
    """A glob with its quoting removed: what bash passes on when it does not expand."""
    return word.text if word.glob is None else re.sub(r"\\(.)", r"\1", word.glob)


def check(lines: Sequence[str]) -> int:
    """Compare every line of these that we accept, and return how many there were."""
    accepted = [(line, plan) for line in lines if (plan := read(line)) is not None and fits_harness(plan)]
    theirs = bash_reads([line for line, _ in accepted], [plan for _, plan in accepted])
    assert len(theirs) == len(accepted)
    for (line, plan), records in zip(accepted, theirs, strict=True):
        at = 0
        for step in foretold(plan):
            # The parts of one pipeline run at once and may report in any order.
            assert sorted(records[at : at + len(step)]) == sorted(step), line
            at += len(step)
        assert records[at:] == [], line
    return len(accepted)


def test_the_corpus_reads_the_same() -> None:
    rows = [line for line, _ in ACCEPTED]
    assert check(rows) > len(rows) * 0.8


def test_the_harness_would_notice_a_difference() -> None:
    wrong = Plan((Step(Connector.FIRST, (Command((Word("a"), Word("b c"))),)),))
    (records,) = bash_reads(["a b c"], [wrong])
    assert records == [(("a", "b", "c"), "caller", "caller", "caller")]
    assert [records] != foretold(wrong)
    assert bash_reads(["if"], [wrong]) == [[]]


_CHARACTERS = "ab1 2.-=/:,+@%^_!#~?*[]{}é\u00a0\t"
_QUOTED_CHARACTERS = _CHARACTERS + "|&;<>()"
_PIECES = st.one_of(
    st.text(st.sampled_from("abc12.-=_+@%^:,"), min_size=1, max_size=4),
    st.text(st.sampled_from(_CHARACTERS), min_size=1, max_size=3),
    st.text(st.sampled_from(_QUOTED_CHARACTERS + '"$`\\'), max_size=5).map(lambda text: f"'{text}'"),
    st.text(st.sampled_from(_QUOTED_CHARACTERS + "'"), max_size=5).map(lambda text: f'"{text}"'),
    st.sampled_from([f"\\{character}" for character in _QUOTED_CHARACTERS + "'\"$`\\"]),
    st.sampled_from(
        ['"\\\\"', '"\\$"', '"\\a"', '"\\`"', '"\\""', "[a-c]", "[!x]", "{}", "{a}", "2", "!", "~", "a=", "--x=", "if"]
    ),
)
_WORDS = st.lists(_PIECES, min_size=1, max_size=3).map("".join)
_REDIRECTS = st.sampled_from(
    ["2>/dev/null", "2>&1", ">/dev/null", "1>/dev/null", "&>/dev/null", ">f", ">>f", "> f", "&>f", "&>>f", "<f", "0<f",
     "2> /dev/null", "2>>/dev/null", "< f", "</dev/null", ">'f g'", "2>&1 >/dev/null"]
)  # fmt: skip
_BLANKS = st.sampled_from([" ", " ", " ", "  ", "\t", ""])
_COMMANDS = st.tuples(
    st.one_of(st.sampled_from(["cat", "ls", "grep", "x"]), _WORDS),
    st.lists(st.tuples(_BLANKS, st.one_of(_WORDS, _WORDS, _WORDS, _REDIRECTS)), max_size=5),
).map(lambda parts: parts[0] + "".join(blank + word for blank, word in parts[1]))
_LINES = st.tuples(
    _COMMANDS,
    st.lists(
        st.tuples(_BLANKS, st.sampled_from(["|", "|", "&&", "||", ";", "&", "|&"]), _BLANKS, _COMMANDS), max_size=3
    ),
).map(lambda parts: parts[0] + "".join("".join(part) for part in parts[1]))

_SEEDS = [line for line, _ in ACCEPTED] + [line for line, _ in REFUSED if len(line) < 80]
_INSERTS = [
    *_QUOTED_CHARACTERS,
    *"'\"$`\\\n\0\x01\x7f\x85",
    "\u2028",
    "2>&1",
    "&&",
    "||",
    "{}",
    "$(",
    "<<",
    "~",
    "=",
    "\\\n",
]


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    line = draw(st.sampled_from(_SEEDS))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        cut = draw(st.integers(0, 1))
        line = line[:at] + draw(st.sampled_from(["", *_INSERTS])) + line[at + cut :]
    return line


# No shrinking: a failure names its line, and each try starts a bash.
_SETTINGS = settings(
    max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)


@pytest.mark.parametrize("lines", [_LINES, _mutated()], ids=["generated", "mutated"])
def test_lines_read_the_same(lines: st.SearchStrategy[str]) -> None:
    compared = 0

    @_SETTINGS
    @given(st.lists(lines, min_size=20, max_size=60))
    def batch(given_lines: list[str]) -> None:
        nonlocal compared
        compared += check(given_lines)

    batch()
    assert compared > 50, "too few lines were accepted for this to say anything"


def test_no_builtin_and_no_reserved_word_passes_for_a_program() -> None:
    """Those with a program behind them are named here; of all others bash would carry out something else."""
    shown = subprocess.run(
        [BASH, "--norc", "--noprofile", "-c", "compgen -b; echo --; compgen -k"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    builtins, _, reserved = shown.partition("--\n")
    programs = {"echo", "false", "kill", "printf", "pwd", "test", "true"}
    assert set(builtins.split()) - programs == set(planner.BUILTINS)
    assert set(reserved.split()) <= planner.RESERVED
    for word in set(builtins.split()) - programs | set(reserved.split()):
        assert read(f"\\{word} x") is None


_NAMES = st.text(st.sampled_from("abcxyzAZ019*?[]!-^\\.,é '\"&;|$"), min_size=1, max_size=4)
_GLOB_PIECES = st.one_of(
    st.sampled_from(
        ["*", "?", "[a-c]", "[!a]", "[^x]", "[a-]", "[-x]", "[A-Z0]", "[ab.]", "**", "a", "x", "-", "!", "]"]
    ),
    st.text(st.sampled_from('a*?[]!-^\\. "&;|$'), min_size=1, max_size=3).map(lambda text: f"'{text}'"),
    st.sampled_from(["\\*", "\\?", "\\[", "\\]", "\\\\", "\\a", '"*"', '"a-z"']),
)


@_SETTINGS
@given(
    st.lists(st.tuples(st.lists(_GLOB_PIECES, min_size=1, max_size=4).map("".join), _NAMES), min_size=20, max_size=80)
)
def test_patterns_match_the_names_that_bash_says_they_match(pairs: list[tuple[str, str]]) -> None:
    """The pattern we hand out, matched by the simple rules it is documented with, against bash's own matching."""
    rows = []
    for source, name in pairs:
        plan = read(f"ls {source}")
        if plan is not None and len(plan.commands[0].words) == 2 and plan.commands[0].words[1].glob is not None:
            rows.append((source, name, plan.commands[0].words[1].glob))
    script = "".join(f"case {quote(name)} in {source}) echo 1;; *) echo 0;; esac\n" for source, name, _ in rows)
    ran = subprocess.run(
        [BASH, "--norc", "--noprofile"],
        input=script,
        capture_output=True,
        text=True,
        check=True,
        env={"LC_ALL": "C.UTF-8"},
    )
    assert ran.stderr == ""
    theirs = [line == "1" for line in ran.stdout.split()]
    assert theirs == [_as_expression(pattern).fullmatch(name) is not None for _, name, pattern in rows]


def _as_expression(pattern: str) -> re.Pattern[str]:
    tokens = re.findall(r"\\.|\[[!^]?[^\]]+\]|.", pattern, re.DOTALL)
    return re.compile("".join(_atom(token) for token in tokens), re.DOTALL)


def _atom(token: str) -> str:
    if token[0] == "\\":
        return re.escape(token[1])
    if len(token) > 1:
        inner = token[1:-1]
        return f"[^{inner[1:]}]" if inner[0] in "!^" else token
    return {"*": ".*", "?": "."}.get(token, re.escape(token))
