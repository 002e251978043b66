"""The shape of the tree: sizes, names, the mirror, and what every file says of itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.house.reading import ROOT, SRC, TESTS, is_deciding, name_of, parsed, sources

LONGEST = 400
NO_NAMES = frozenset({"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"})

TELLING = frozenset({"__init__", "__str__", "__repr__"})


def decides(tree: ast.Module) -> bool:
    """True if any function does something; protocols and plain records have nothing to test."""
    return any(
        not all(isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in node.body)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name not in TELLING
    )


def mirror_of(path: Path) -> Path:
    inner = path.relative_to(SRC)
    return TESTS / inner.parent / f"test_{inner.name}"


def test_no_file_is_too_long_to_read() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): path.read_bytes().count(b"\n") for path in (*sources(), *sources(TESTS))
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_no_file_is_named_after_nothing() -> None:
    nameless = [path for path in (*sources(), *sources(TESTS)) if path.name.removeprefix("test_") in NO_NAMES]
    assert nameless == []


def test_every_deciding_file_has_its_tests() -> None:
    missing = {
        name_of(path): mirror_of(path).relative_to(ROOT).as_posix()
        for path in sources()
        if is_deciding(path) and path.name != "__init__.py" and decides(parsed(path)) and not mirror_of(path).is_file()
    }
    assert missing == {}


def test_a_record_needs_no_mirror_and_a_judge_does() -> None:
    assert not decides(
        ast.parse("class P:\n    name: str\n    def m(self) -> None:\n        '''Say.'''\n        ...\n")
    )
    assert decides(ast.parse("def judge(call):\n    '''Say.'''\n    return DENY\n"))


def test_every_file_says_what_it_is() -> None:
    mute = [name_of(path) for path in sources() if parsed(path).body and not ast.get_docstring(parsed(path))]
    assert mute == []


def test_no_file_says_it_is_unfinished() -> None:
    marks = re.compile(r"\b(TO" + "DO|FIX" + "ME|XX" + "X|NotImplemented" + r"Error)\b")
    unfinished = [name_of(path) for path in sources() if marks.search(path.read_text("utf-8"))]
    assert unfinished == []


def test_every_suppression_names_its_rule_and_in_the_program_its_reason() -> None:
    bare = [
        f"{path.relative_to(ROOT).as_posix()}:{number}"
        for path in (*sources(), *sources(TESTS))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if is_bare_suppression(line, NAMED if path.is_relative_to(TESTS) else REASONED)
    ]
    assert bare == []


SUPPRESSION = re.compile("# (no" + "qa|type: " + "ignore)(.*)")
NAMED = re.compile(r"(: [A-Z]+\d+(, [A-Z]+\d+)*|\[[a-z-]+(, [a-z-]+)*\])")
REASONED = re.compile(NAMED.pattern + r"\W+\w.{6,}")


def is_bare_suppression(line: str, rule: re.Pattern[str] = REASONED) -> bool:
    return any(not rule.match(rest) for _, rest in SUPPRESSION.findall(line))


def test_a_bare_suppression_would_be_seen() -> None:
    mark = "# no" + "qa"
    assert is_bare_suppression(f"x = 1  {mark}")
    assert is_bare_suppression(f"x = 1  {mark}: S101")
    assert not is_bare_suppression(f"x = 1  {mark}: S101 -- the reason")
    assert is_bare_suppression("x = 1  # type: " + "ignore[arg-type]")
    assert is_bare_suppression(f"x = 1  {mark}", NAMED)
    assert not is_bare_suppression(f"x = 1  {mark}: S101", NAMED)
    assert not is_bare_suppression("x = 1")


def test_every_room_is_a_package() -> None:
    # The import law does not see the files of a directory that is none.
    bare = {name_of(path.parent) for path in sources() if not (path.parent / "__init__.py").is_file()}
    assert bare == set()
