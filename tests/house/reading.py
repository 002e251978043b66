"""How the house tests read the tree: files, imports and calls, by syntax and without importing anything."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "bascule"
TESTS = ROOT / "tests"

DECIDING_ROOMS = ("core", "layers", "guards", "judge", "policy", "shell")
DECIDING_FILES = frozenset({"argv.py", "spec.py", "card.py", "match.py", "chain.py", "question.py"})


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module and whether the import runs when the file is loaded (not in a function, not for types)."""

    module: str
    line: int
    at_load: bool


def sources(root: Path = SRC) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def is_deciding(path: Path) -> bool:
    inner = path.relative_to(SRC)
    return inner.parts[0].removesuffix(".py") in DECIDING_ROOMS or path.name in DECIDING_FILES


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imports(tree: ast.Module) -> Iterator[Import]:
    yield from _imports(tree.body, at_load=True)


def _imports(body: list[ast.stmt], *, at_load: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.module or "", node.lineno, at_load)
            # `from bascule import app` names a module too.
            yield from (Import(f"{node.module}.{alias.name}", node.lineno, at_load) for alias in node.names)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _imports(node.body, at_load=False)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.body, at_load=False)
            yield from _imports(node.orelse, at_load=at_load)
        else:
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                for inner in getattr(node, field, []):
                    if isinstance(inner, ast.stmt):
                        yield from _imports([inner], at_load=at_load)
                    elif isinstance(inner, (ast.ExceptHandler, ast.match_case)):
                        yield from _imports(inner.body, at_load=at_load)


def called(call: ast.Call) -> str:
    """The dotted name of what is called, as far as it is one; ``?`` stands for any other expression before a dot."""
    parts: list[str] = []
    node: ast.expr = call.func
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "?")
    return ".".join(reversed(parts))


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


@cache
def tracked() -> tuple[Path, ...]:
    """Every file the project keeps: what git tracks, and what stands beside it untracked but not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())
