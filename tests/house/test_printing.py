"""Everything a person reads goes through one place that makes control characters visible."""

from __future__ import annotations

import ast
import re

import pytest
from tests.house.reading import called, calls, imports, name_of, parsed, sources

SINK = "cli/sink.py"

ELSEWHERE = {
    "cli/drawing.py": "draws tables into a string, which the sink prints",
    "cli/launch.py": "a gateway that dies while starting leaves its traceback in its own log",
}
"""Other files that may write to a standard stream, with the reason."""

PRINTING = re.compile(
    r"^(print|input|pprint|sys\.(__)?std(out|err)(__)?\.(buffer\.)?write(lines)?|(typer|click)\.(echo|secho|prompt|confirm)"
    r"|traceback\.print_\w+|warnings\.warn|logging\.basicConfig)$"
)
STREAMS = re.compile(r"\bsys\.(__)?std(out|err)\b")
CONSOLES = ("rich.console", "rich.live", "rich.progress", "rich.prompt", "pprint")


def printings(tree: ast.Module) -> list[str]:
    found = []
    for call in calls(tree):
        name = called(call)
        if PRINTING.match(name):
            found.append(f"line {call.lineno}: {name}")
        if name == "os.write" and call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value in {1, 2}:
            found.append(f"line {call.lineno}: os.write to a standard stream")
    found += [f"line {entry.line}: {entry.module}" for entry in imports(tree) if entry.module.startswith(CONSOLES)]
    found += [
        f"line {node.lineno}: a standard stream by name"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and STREAMS.fullmatch(ast.unparse(node))
    ]
    return found


def test_only_the_sink_prints() -> None:
    found = {name_of(path): printings(parsed(path)) for path in sources() if name_of(path) != SINK}
    assert {name: faults for name, faults in found.items() if faults and name not in ELSEWHERE} == {}


def test_no_exception_outlives_its_reason() -> None:
    printing = {name_of(path) for path in sources() if printings(parsed(path))}
    assert set(ELSEWHERE) <= printing


@pytest.mark.parametrize(
    "line",
    [
        "print('x')",
        "import sys\nsys.stdout.write('x')",
        "import sys\nout = sys.stderr",
        "typer.echo(name)",
        "os.write(1, b'x')",
        "from rich.console import Console",
        "traceback.print_exc()",
    ],
)
def test_printing_would_be_seen(line: str) -> None:
    assert printings(ast.parse(line))


@pytest.mark.parametrize("line", ["os.write(fd, b'x')", "sink.line(name)", "sys.stdin.isatty()", "os.write(3, b'')"])
def test_what_is_no_printing_is_left_alone(line: str) -> None:
    assert printings(ast.parse(line)) == []
