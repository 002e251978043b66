"""find's words: reading, writing, starting."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from bascule.core.paths import Access
from bascule.shell.command import read_command
from bascule.shell.find_operands import PREDICATES, access_of, find_words
from bascule.shell.operand_table import Role
from bascule.shell.operands import path_operands

ROWS = [
    ("find", []),
    ("find .", ["r:."]),
    ("find /a b -name /etc/x", ["r:/a", "r:b"]),
    ("find -L /a -type f", ["r:/a"]),
    ("find -D tree -O3 /a", ["r:/a"]),
    ("find -- /a", ["r:/a"]),
    ("find . -newer /etc/x", ["r:.", "r:/etc/x"]),
    ("find . -newermt 2020-01-01", ["r:."]),
    ("find . -newerma /etc/x", ["r:.", "r:/etc/x"]),
    ("find . -samefile /etc/x", ["r:.", "r:/etc/x"]),
    ("find -files0-from list", ["r:list"]),
    ("find . ! -path /etc/x -o -name '*.md'", ["r:."]),
    ("find . '(' -name a ')' , -print", ["r:."]),
    ("find a b -delete", ["r:a", "r:b", "w:a", "w:b"]),
    ("find -delete", ["w:."]),
    ("find . -fprint out", ["r:.", "w:out"]),
    ("find . -fprint0 out", ["r:.", "w:out"]),
    ("find . -fls /tmp/out", ["r:.", "w:/tmp/out"]),
    ("find . -fprintf out /etc/x", ["r:.", "w:out"]),
    ("find . -exec rm {} +", ["r:.", "r:/usr/bin/rm"]),
    ("find . -exec /bin/sh {} ';' -delete", ["r:.", "r:/bin/sh", "w:."]),
    ("find . -execdir grep x {} ';'", ["r:.", "r:/usr/bin/grep", "r:x"]),
    ("find . -ok cat ';'", ["r:.", "r:/usr/bin/cat"]),
    ("find . -okdir cat ';'", ["r:.", "r:/usr/bin/cat"]),
    ("find . -exec cat --f=/etc/x", ["r:.", "r:/usr/bin/cat", "r:--f=/etc/x", "r:--f", "r:/etc/x"]),
    ("find . -exec echo + ';' -fprint out", ["r:.", "r:/usr/bin/echo", "r:+", "w:out"]),
    ("find . -exec", ["r:."]),
]


@pytest.mark.parametrize(("line", "expected"), ROWS, ids=[line for line, _ in ROWS])
def test_what_find_reads_writes_and_starts(line: str, expected: list[str]) -> None:
    (command,) = read_command(line).commands
    assert [f"{operand.access.value[0]}:{operand.path}" for operand in path_operands(command)] == expected


@pytest.mark.parametrize(
    "words", [["."], [".", "-nonsense"], [".", "-newerm"], [".", "-newermtt", "x"], [".", "-print", "x"]]
)
def test_what_is_not_understood_is_said(words: list[str]) -> None:
    understood = words == ["."]
    assert (find_words(words) is not None) is understood


@pytest.mark.parametrize(
    ("role", "access"),
    [
        (Role.READ, Access.READ),
        (Role.PROGRAM, Access.READ),
        (Role.WRITE, Access.WRITE),
        (Role.TEXT, None),
        (Role.FLAG, None),
    ],
)
def test_roles_become_accesses(role: Role, access: Access | None) -> None:
    assert access_of(role) is access


@pytest.mark.live
def test_find_here_takes_as_many_values_as_the_table_says() -> None:
    path = shutil.which("find", path="/usr/bin:/bin")
    if path is None:
        pytest.skip("find is not installed")
    wrong = []
    for predicate, roles in PREDICATES.items():
        if predicate in {"-files0-from", "-help", "--help", "-version", "--version"}:
            continue
        ran = subprocess.run([path, "/nonexistent", predicate], capture_output=True, text=True, check=False)
        if re.search("unknown predicate", ran.stderr):
            continue
        wants = (
            "invalid argument" in ran.stderr
            or "missing argument" in ran.stderr
            or "requires" in ran.stderr
            or "expected" in ran.stderr
        )
        if wants != bool(roles) and predicate not in {"-a", "-and", "-o", "-or", "-not"}:
            wrong.append((predicate, ran.stderr))
    assert wrong == []
