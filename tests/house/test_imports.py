"""Who may know whom. The floors themselves are `[tool.importlinter]`'s; here stands what it cannot say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.house.reading import ROOT, SRC, called, calls, imports, is_deciding, name_of, parsed, sources

FORBIDDEN_TO_DECIDERS = frozenset(
    [
        "os",
        "pathlib",
        "io",
        "subprocess",
        "socket",
        "asyncio",
        "threading",
        "time",
        "random",
        "secrets",
        "uuid",
        "tempfile",
        "shutil",
        "ctypes",
        "logging",
        "anyio",
        "apsw",
        "concurrent",
        "fcntl",
        "glob",
        "http",
        "httpx2",
        "importlib",
        "mmap",
        "multiprocessing",
        "platform",
        "pwd",
        "resource",
        "select",
        "selectors",
        "signal",
        "sqlite3",
        "ssl",
        "structlog",
        "urllib",
        "warnings",
    ]
)
FORBIDDEN_CALLS = re.compile(r"(^|\.)(open|input|print|eval|exec|compile|__import__)$|\.(now|utcnow|today)$")
ALLOWED_CALLS = frozenset({"re.compile", "re2.compile"})

NEWER_STANDARD_MODULES = frozenset({"_sha2"})
"""Modules of the standard library that a later Python has and the oldest we support lacks."""


def impurities(tree: ast.Module) -> list[str]:
    found = [
        f"line {entry.line}: imports {entry.module}"
        for entry in imports(tree)
        if entry.module.split(".")[0] in FORBIDDEN_TO_DECIDERS
    ]
    for call in calls(tree):
        name = called(call)
        if FORBIDDEN_CALLS.search(name) and name not in ALLOWED_CALLS:
            found.append(f"line {call.lineno}: calls {name}")
    return found


def contract() -> list[list[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [house] = settings["tool"]["importlinter"]["contracts"]
    return [floor.split(" | ") for floor in house["layers"]]


def rooms() -> set[str]:
    here = {path.name for path in SRC.iterdir() if path.is_dir() and sources(path)}
    return here | {path.stem for path in SRC.glob("*.py")} - {"__init__"}


def test_every_room_has_its_floor() -> None:
    written = [room for floor in contract() for room in floor]
    placed = {room.strip("()") for room in written}
    assert len(placed) == len(written)
    assert rooms() <= placed, "give the new room its floor in pyproject.toml, [tool.importlinter]"
    assert {room for room in written if not room.startswith("(")} <= rooms(), "this room has nothing in it"


def test_the_floors_are_those_of_the_design() -> None:
    floors = {room: height for height, floor in enumerate(contract()) for room in floor}
    downward = ["cli", "app", "control", "gate", "state", "policy", "shell", "judge", "layers", "core"]
    heights = [floors[room] for room in downward]
    assert heights == sorted(set(heights))


def test_deciding_code_reads_no_clock_and_touches_no_world() -> None:
    found = {name_of(path): impurities(parsed(path)) for path in sources() if is_deciding(path)}
    assert "judge.py" in found
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from pathlib import PurePath",
        "import os.path as p",
        "open('x')",
        "datetime.datetime.now()",
        "date.today()",
        "def f():\n    import random",
        "__import__('o' + 's')",
    ],
)
def test_an_impure_decider_would_be_seen(line: str) -> None:
    assert impurities(ast.parse(line))


def test_a_pure_decider_is_left_alone() -> None:
    assert (
        impurities(
            ast.parse("import re, hashlib, json\nx = re.compile('a').fullmatch('a')\nfrom datetime import datetime")
        )
        == []
    )


def strangers(path: Path, friends: re.Pattern[str]) -> list[str]:
    return sorted({entry.module for entry in imports(parsed(path)) if not friends.match(entry.module)})


def faults(paths: Iterable[Path], friends: re.Pattern[str]) -> dict[str, list[str]]:
    return {name_of(path): found for path in paths if (found := strangers(path, friends))}


def test_the_worker_stands_on_the_standard_library_alone() -> None:
    standard = "|".join(sorted(sys.stdlib_module_names | NEWER_STANDARD_MODULES))
    paths = sources(SRC / "sandboxes" / "worker")
    assert paths
    assert faults(paths, re.compile(rf"(bascule\.sandboxes\.worker|{standard})(\.|$)")) == {}


def test_what_a_worker_loads_on_its_way_is_empty() -> None:
    # A worker imports `bascule.sandboxes.worker`, and with it the two packages above.
    for package in (SRC, SRC / "sandboxes"):
        initial = package / "__init__.py"
        assert not initial.exists() or list(imports(parsed(initial))) == []


def client_files() -> set[Path]:
    """The client, and every file of its own room that it reaches."""
    todo = [path for path in sources(SRC / "control") if path.stem == "client"]
    reached: set[Path] = set()
    while todo:
        path = todo.pop()
        reached.add(path)
        for entry in imports(parsed(path)):
            near = SRC.parent.joinpath(*entry.module.split(".")).with_suffix(".py")
            if near.is_relative_to(SRC / "control") and near.is_file() and near not in reached:
                todo.append(near)
    return reached


def test_the_client_knows_no_more_than_core() -> None:
    reached = client_files()
    assert SRC / "control" / "server.py" not in reached
    standard = "|".join(sorted(sys.stdlib_module_names))
    assert faults(reached, re.compile(rf"(bascule\.(core|service|control)|bascule$|{standard})(\.|$)?")) == {}


def test_a_verb_loads_the_app_only_when_it_needs_it() -> None:
    eager = {
        f"{name_of(path)}:{entry.line}"
        for path in sources(SRC / "cli")
        for entry in imports(parsed(path))
        if entry.at_load and entry.module.startswith("bascule.app")
    }
    assert eager == set()


def test_help_loads_no_model_library() -> None:
    heavy = ("pydantic_ai", "openai", "anthropic", "bascule.app", "apsw", "httpx2")
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(SRC.parent)!r})\n"
        "from bascule.cli.main import main\n"
        "sys.argv = ['bascule', '--help']\n"
        "try:\n    main()\n"
        "finally:\n"
        f"    print('LOADED', [name for name in {heavy!r} if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "LOADED []" in ran.stdout, ran.stdout + ran.stderr


def test_imports_are_absolute() -> None:
    relative = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []
