"""Tests about tests: each can fail, and none waits on a clock."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from tests.house.reading import ROOT, TESTS, called, calls, imports, parsed, sources

Function = ast.FunctionDef | ast.AsyncFunctionDef
RAISING = frozenset({"pytest.raises", "pytest.fail", "pytest.warns", "pytest.deprecated_call"})
LONGEST_SLEEP = 0.5


def functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def asserts(function: Function, tree: ast.Module, seen: frozenset[str] = frozenset()) -> bool:
    """True if the function, or a function of this file or of another test file that it calls, can fail on purpose."""
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    names = {called(call) for call in calls(function)}
    if names & RAISING:
        return True
    known = {inner.name: (inner, tree) for inner in functions(tree)} | borrowed(tree)
    for name in {name.rpartition(".")[2] for name in names} - seen:
        if name in known and asserts(*known[name], seen | {function.name, name}):
            return True
    return False


def borrowed(tree: ast.Module) -> dict[str, tuple[Function, ast.Module]]:
    modules = {entry.module for entry in imports(tree) if entry.module.startswith("tests.")}
    found: dict[str, tuple[Function, ast.Module]] = {}
    for module in modules:
        path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        if path.is_file():
            found |= {inner.name: (inner, parsed(path)) for inner in functions(parsed(path))}
    return found


@cache
def test_files() -> tuple[Path, ...]:
    return tuple(path for path in sources(TESTS) if path.name.startswith("test_"))


test_files.__test__ = False  # type: ignore[attr-defined] -- a list of files, not a test


def test_every_test_can_fail() -> None:
    idle = [
        f"{path.relative_to(ROOT).as_posix()}:{function.lineno} {function.name}"
        for path in test_files()
        for function in functions(parsed(path))
        if function.name.startswith("test_") and not is_fixture(function) and not asserts(function, parsed(path))
    ]
    assert idle == []


def is_fixture(function: Function) -> bool:
    return any("fixture" in ast.unparse(mark) or "cache" in ast.unparse(mark) for mark in function.decorator_list)


def test_no_test_waits_long() -> None:
    waiting = [
        f"{path.relative_to(ROOT).as_posix()}:{call.lineno}"
        for path in test_files()
        for call in calls(parsed(path))
        if called(call) in {"time.sleep", "asyncio.sleep", "sleep"} and is_long(call)
    ]
    assert waiting == []


def is_long(call: ast.Call) -> bool:
    length, *_ = call.args or [ast.Constant(0)]
    return isinstance(length, ast.Constant) and isinstance(length.value, (int, float)) and length.value > LONGEST_SLEEP


def test_every_file_of_tests_is_collected() -> None:
    stray = [
        path.relative_to(ROOT).as_posix()
        for path in sources(TESTS)
        if not path.name.startswith("test_")
        and any(node.name.startswith("test_") for node in parsed(path).body if isinstance(node, ast.FunctionDef))
    ]
    assert stray == []


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("def test_a():\n    run()\n", False),
        ("def test_a():\n    assert run()\n", True),
        ("def test_a():\n    with pytest.raises(E):\n        run()\n", True),
        ("def holds(x):\n    assert x\ndef test_a():\n    holds(run())\n", True),
        ("def loop():\n    test_a()\ndef test_a():\n    loop()\n", False),
    ],
)
def test_an_idle_test_would_be_seen(text: str, verdict: bool) -> None:
    tree = ast.parse(text)
    [test] = [function for function in functions(tree) if function.name == "test_a"]
    assert asserts(test, tree) is verdict
