"""Which words are paths, for programs that are known and programs that are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.paths import Access
from bascule.core.plan import Command, Program, ProgramKind, Streams, Word
from bascule.shell.command import read_command
from bascule.shell.operand_table import TABLE
from bascule.shell.operands import path_operands


def paths(line: str) -> list[str]:
    """Every operand of a one-command line as ``r:path`` or ``w:path``."""
    (command,) = read_command(line).commands
    return [f"{operand.access.value[0]}:{operand.path}" for operand in path_operands(command)]


KNOWN = [
    ("cat notes.md /etc/passwd", ["r:notes.md", "r:/etc/passwd"]),
    ("cat -n -- -x", ["r:-x"]),
    ("cat -", ["r:-"]),
    ("ls", []),
    ("ls -la /home/x", ["r:/home/x"]),
    ("ls -I /etc -w 80 a", ["r:a"]),
    ("ls --ignore /etc a", ["r:a"]),
    ("ls --color /etc", ["r:/etc"]),
    ("grep -r /etc/passwd .", ["r:."]),
    ("grep -e /etc/x /etc/y", ["r:/etc/y"]),
    ("grep -f/etc/x y", ["r:/etc/x", "r:y"]),
    ("grep -rf /etc/x y", ["r:/etc/x", "r:y"]),
    ("grep --regexp=a b", ["r:b"]),
    ("grep --exclude-from=/etc/x a b", ["r:/etc/x", "r:b"]),
    ("grep -ef /etc/x", ["r:/etc/x"]),
    ("grep a b -A 3 c", ["r:b", "r:c"]),
    ("grep -3 a b", ["r:b"]),
    ("grep -3n a b", ["r:b"]),
    ("grep -- -a b", ["r:b"]),
    ("/usr/bin/grep /etc/x b", ["r:b"]),
    ("/bin/grep /etc/x b", ["r:b"]),
    ("rg --files /etc", ["r:/etc"]),
    ("rg /etc b", ["r:b"]),
    ("rg --pre /etc/x a b", ["r:/etc/x", "r:b"]),
    ("rg --pre cat a b", ["r:/usr/bin/cat", "r:b"]),
    ("head -n 3 /etc/x", ["r:/etc/x"]),
    ("head -20 x", ["r:x"]),
    ("head -20q x", ["r:x"]),
    ("tail -c +5 x", ["r:x"]),
    ("wc --files0-from=list", ["r:list"]),
    ("wc --files0 list", ["r:list"]),
    ("du --exclude-from=/etc/x -X y z", ["r:/etc/x", "r:y", "r:z"]),
    ("du -d 1 -h .", ["r:."]),
    ("sort -k 2,2 -t : -o out in", ["w:out", "r:in"]),
    ("sort --output=/tmp/o -T /tmp in", ["w:/tmp/o", "w:/tmp", "r:in"]),
    ("sort --compress-program=sh x", ["r:/usr/bin/sh", "r:x"]),
    ("sort --compress-prog ./evil x", ["r:./evil", "r:x"]),
    ("uniq a b", ["r:a", "w:b"]),
    ("uniq -c a", ["r:a"]),
    ("cut -d / -f 1 a", ["r:a"]),
    ("tr /a /b", []),
    ("date -r /etc/passwd +%s", ["r:/etc/passwd"]),
    ("date --file=/etc/shadow", ["r:/etc/shadow"]),
    ("echo /etc/passwd", []),
    ("printf %s /etc/passwd", []),
    ("basename /etc/passwd", []),
    ("realpath --relative-to=/etc x", ["r:/etc", "r:x"]),
    ("stat -c %n /etc/x", ["r:/etc/x"]),
    ("file -f list", ["r:list"]),
    ("file -m /etc/magic x", ["r:/etc/magic", "r:x"]),
    ("diff --from-file=/etc/a b", ["r:/etc/a", "r:b"]),
    ("diff -U 3 a b", ["r:a", "r:b"]),
    ("touch -r /etc/x y", ["r:/etc/x", "w:y"]),
    ("mkdir -p -m 700 a b", ["w:a", "w:b"]),
    ("cp a b c", ["r:a", "r:b", "w:c"]),
    ("cp -t /tmp a b", ["w:/tmp", "r:a", "r:b"]),
    ("cp -at/tmp a", ["w:/tmp", "r:a"]),
    ("cp --target=/tmp a", ["w:/tmp", "r:a"]),
    ("mv a b", ["w:a", "w:b"]),
    ("rm -rf /", ["w:/"]),
    ("rm -- -", ["w:./-"]),
    ("ln -s /etc/passwd x", ["r:/etc/passwd", "w:x"]),
    ("ln /etc/passwd", ["w:.", "r:/etc/passwd"]),
    ("tee -a out", ["w:out"]),
    ("tee", []),
    ("cat < in > out", ["r:in", "w:out"]),
    ("cat <in >>out 2>&1", ["r:in", "w:out"]),
    ("cat x 2>/dev/null >/dev/null </dev/null", ["r:x"]),
    ("tree -L 2 -I /x -o out /y", ["w:out", "r:/y"]),
    ("which ls /bin/sh", ["r:ls", "r:/bin/sh"]),
    ("uname -a", []),
]


@pytest.mark.parametrize(("line", "expected"), KNOWN, ids=[line for line, _ in KNOWN])
def test_known_programs(line: str, expected: list[str]) -> None:
    assert paths(line) == expected


UNKNOWN = [
    ("grep --fil=/etc/x y", {"r:/etc/x", "r:y"}),
    ("grep -3A 5 a b", {"r:5", "r:a", "r:b"}),
    ("grep -3f /etc/x y", {"r:/etc/x", "r:y"}),
    ("head -20c /etc/x", {"r:/etc/x"}),
    ("prog a", {"r:a"}),
    ("prog --x=/etc/a:/b", {"r:/etc/a", "r:/b"}),
    ("prog -I/inc", {"r:/inc"}),
    ("prog -abI../../e", {"r:../../e"}),
    ("prog -Imemory/x", {"r:memory/x"}),
    ("prog K=../v", {"r:../v"}),
    ("prog @/etc/x", {"r:/etc/x"}),
    ("prog src=/a,dst=/b", {"r:/a", "r:/b"}),
    ("prog --bare /etc/x", {"r:/etc/x"}),
    ("awk -f /etc/x y", {"r:/etc/x", "r:y"}),
    ("sed -n p /etc/x", {"r:/etc/x"}),
    ("xargs cat /etc/x", {"r:cat", "r:/etc/x"}),
    ("env A=/etc/x cat", {"r:/etc/x", "r:cat"}),
    ("tools/cat -e /etc/x", {"r:/etc/x"}),
    ("./grep /etc/x y", {"r:/etc/x", "r:y"}),
    ("ls --bogus=/etc/x", {"r:/etc/x"}),
    ("grep --f=/etc/x y z", {"r:/etc/x", "r:y", "r:z"}),
    ("grep -9Y /etc/x y", {"r:/etc/x", "r:y"}),
    ("cat --show-all=/etc/x", {"r:/etc/x"}),
    ("rm --bogus /etc/x", {"w:/etc/x", "r:/etc/x"}),
    ("cp --bogus /etc/x /y", {"w:/y", "r:/y", "r:/etc/x"}),
    ("find . -bogus /etc/x", {"r:/etc/x", "w:/etc/x", "r:."}),
]


@pytest.mark.parametrize(("line", "included"), UNKNOWN, ids=[line for line, _ in UNKNOWN])
def test_of_an_unknown_program_or_option_every_word_counts(line: str, included: set[str]) -> None:
    assert included <= set(paths(line))


def test_an_attached_relative_path_is_not_mistaken_for_several_absolute_ones() -> None:
    found = paths("prog --file=/workspace/memory/x.md")
    assert "r:/workspace/memory/x.md" in found
    assert not {path for path in found if path.startswith(("r:/memory", "r:/x.md"))}


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (Program("grep", "/usr/bin/grep", ProgramKind.NATIVE), ["y"]),
        (Program("grep", "/usr/bin/grep", ProgramKind.SCRIPT), ["y"]),
        (Program("grep", "/usr/bin/busybox", ProgramKind.MULTICALL), ["/etc/x", "y"]),
        (Program("grep", "", ProgramKind.MISSING), ["/etc/x", "y"]),
        (Program("grep", "/workspace/tools/grep", ProgramKind.SCRIPT), ["/etc/x", "y"]),
    ],
)
def test_the_table_is_only_for_programs_of_the_system(program: Program, expected: list[str]) -> None:
    command = Command((Word("grep"), Word("/etc/x"), Word("y")), Streams(), program)
    assert [operand.path for operand in path_operands(command)] == expected


@pytest.mark.parametrize(
    ("line", "outside"),
    [
        ("curl https://example.org/etc/passwd", []),
        ("curl http://127.0.0.1:8080/a/b", []),
        ("curl -o x http://host/a", []),
        ("curl http://host/?file=/etc/passwd", ["/etc/passwd"]),
        ("curl http:///etc/passwd", ["///etc/passwd"]),
        ("curl http:/etc/passwd", ["/etc/passwd"]),
        ("curl file:///etc/passwd", ["///etc/passwd"]),
        ("curl --data=@/etc/passwd http://host/", ["/etc/passwd"]),
        ("curl HTTP://etc/passwd", ["//etc/passwd"]),
        ("curl x=http://etc/passwd", ["//etc/passwd"]),
    ],
)
def test_the_host_of_a_web_address_is_no_path_and_everything_else_still_may_be_one(
    line: str, outside: list[str]
) -> None:
    assert [path[2:] for path in paths(line) if path.startswith("r:/")] == outside


def test_a_command_that_still_holds_a_glob_is_treated_as_unknown() -> None:
    assert paths("grep /etc/x *.md") == ["r:/etc/x", "r:*.md"]


def test_origin_and_word_say_where_a_path_stands() -> None:
    (command,) = read_command("sort --files0-from=list > out").commands
    assert [(operand.word, operand.origin) for operand in path_operands(command)] == [
        ("--files0-from=list", "word 2 of sort"),
        ("out", "output of sort"),
    ]


def test_a_file_that_is_both_an_operand_and_a_redirect_is_told_twice() -> None:
    (command,) = read_command("tee out out > out").commands
    assert [(operand.path, operand.redirect) for operand in path_operands(command)] == [("out", False), ("out", True)]


@given(st.sampled_from([*TABLE, "find", "prog", "echo"]), st.lists(st.text(max_size=12), max_size=6))
def test_any_words_at_all_give_operands_of_those_words(name: str, words: list[str]) -> None:
    command = Command(tuple(Word(word) for word in [name, *words]))
    for operand in path_operands(command):
        assert operand.path
        assert operand.access in Access
        assert operand.word in words


@given(
    st.sampled_from([*TABLE, "find"]),
    st.lists(st.sampled_from(["-a", "--all", "-n", "x", "--", "-", "-r", "y=1", "-5"]), max_size=4),
)
def test_a_secret_given_as_plain_words_is_seen_by_every_file_reading_program(name: str, before: list[str]) -> None:
    """Twice, as the first may be an option's value or a pattern, and the next the pattern."""
    if name in {"uname", "whoami", "tr", "date", "basename", "dirname"}:
        return
    command = Command(tuple(Word(word) for word in [name, *before, *["/etc/shadow"] * 3]))
    assert "/etc/shadow" in {operand.path for operand in path_operands(command)}
