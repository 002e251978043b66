"""Finds every refusal code in a file by syntax: where it stands as an argument, in a table, or on its way through a helper.

A *code position* is an argument of the four exceptions, of ``deny``, ``ask``, ``Verdict``, ``failed``, or of a helper
that hands a parameter of its own on to one of these. Whatever stands there must be a word that can be read off.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.house.reading import called

POSITIONS = {
    "Malformed": 0,
    "NotPermitted": 0,
    "Unavailable": 0,
    "Tampered": 0,
    "RefusedError": 0,
    "PlaceError": 0,
    "failed": 0,
    "deny": 1,
    "ask": 1,
    "Verdict": 2,
    "Ruling": 0,
}
"""Who takes a code, and as which argument."""

CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
TABLE = re.compile(r"^_?([A-Z]+_)*(CODES|REFUSALS|REFUSED|REFUSED_[A-Z]+)$")
BY_CODE = frozenset({"MALFORMED", "NOT_PERMITTED", "UNAVAILABLE", "TAMPERED"})
"""Tables from a code to the rest of its sentence, each named after the exception it feeds."""

PLAIN_ONLY = frozenset({"failed", "deny", "ask"})
"""Names that methods of other things have too: these count only where they are called without a dot."""

NO_REFUSAL = frozenset({"ok"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Found:
    """What one file says: its codes with the messages beside them, and the places that could not be read."""

    codes: dict[str, set[str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def add(self, code: str, message: str = "") -> None:
        if code not in NO_REFUSAL:
            self.codes.setdefault(code, set()).update({message} - {""})


def codes_in(tree: ast.Module) -> Found:
    found = Found()
    positions = POSITIONS | _helpers(tree)
    constants = _constants(tree.body)
    for function, call in _calls_with_function(tree):
        position = _position(call, positions)
        if position is None or (function is not None and function.name in POSITIONS):
            continue
        argument = _argument(call, position)
        if argument is None:
            continue
        read = _values(argument, function, constants)
        if read is None:
            found.unread.append(f"line {call.lineno}: {ast.unparse(call)[:90]}")
        else:
            message = _text(_argument(call, position + 1, "message"))
            for code in read:
                found.add(code, message)
    _read_tables(tree, found)
    return found


def _position(call: ast.Call, positions: dict[str, int]) -> int | None:
    before, _, name = called(call).rpartition(".")
    return None if before and name in PLAIN_ONLY else positions.get(name)


def _helpers(tree: ast.Module) -> dict[str, int]:
    """Functions that hand one of their parameters on into a code position, found until no more are."""
    helpers: dict[str, int] = {}
    while True:
        before = dict(helpers)
        for function, call in _calls_with_function(tree):
            position = _position(call, POSITIONS | helpers)
            if position is None or function is None:
                continue
            argument = _argument(call, position)
            names = [each.arg for each in function.args.posonlyargs + function.args.args]
            offset = 1 if names[:1] in (["self"], ["cls"]) else 0
            if isinstance(argument, ast.Name) and argument.id in names:
                helpers.setdefault(function.name, names.index(argument.id) - offset)
        if helpers == before:
            return helpers


def _calls_with_function(tree: ast.AST, function: Function | None = None) -> Iterator[tuple[Function | None, ast.Call]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call):
            yield function, node
        inner = node if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
        yield from _calls_with_function(node, inner)


def _argument(call: ast.Call, position: int, keyword: str = "code") -> ast.expr | None:
    for given in call.keywords:
        if given.arg == keyword:
            return given.value
    if any(isinstance(argument, ast.Starred) for argument in call.args[: position + 1]):
        return None
    return call.args[position] if len(call.args) > position else None


def _constants(body: list[ast.stmt]) -> dict[str, set[str]]:
    """Names that a file or a function gives to strings."""
    named: dict[str, set[str]] = {}
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name) and (words := _words(node.value)):
                        named.setdefault(target.id, set()).update(words)
    return named


def _words(expression: ast.expr) -> set[str]:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return {expression.value}
    if isinstance(expression, ast.IfExp):
        return _words(expression.body) | _words(expression.orelse)
    return set()


def _values(argument: ast.expr, function: Function | None, constants: dict[str, set[str]]) -> set[str] | None:
    """The codes an argument can be; empty if it forwards one that is counted elsewhere; None if it cannot be read."""
    if words := _words(argument):
        return words
    if isinstance(argument, ast.Attribute) and argument.attr == "code":
        return set()
    if isinstance(argument, ast.Name):
        if function is not None:
            parameters = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
            if argument.id in {each.arg for each in parameters}:
                return set()
            if argument.id in (local := _constants(function.body)):
                return local[argument.id]
            if argument.id in _unpacked(function) | _looked_up(function):
                return set()
        return constants.get(argument.id)
    return None


def _unpacked(function: Function) -> set[str]:
    """Names filled by taking a row of a table apart; the table's own codes are read where it stands."""
    rows: list[ast.expr] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            rows += node.targets
        elif isinstance(node, (ast.For, ast.comprehension)):
            rows.append(node.target)
    return {
        name.id for row in rows if isinstance(row, ast.Tuple) for name in ast.walk(row) if isinstance(name, ast.Name)
    }


def _looked_up(function: Function) -> set[str]:
    """Names that index a table of sentences by code, whose keys are read where it stands."""
    return {
        node.slice.id
        for node in ast.walk(function)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Name)
        and isinstance(node.value, ast.Name)
        and node.value.id in BY_CODE
    }


def _read_tables(tree: ast.Module, found: Found) -> None:
    for node in ast.walk(tree):
        # (Effect.DENY, "code", "reason", "remedy")
        if isinstance(node, ast.Tuple) and len(node.elts) > 1 and ast.unparse(node.elts[0]).startswith("Effect."):
            for code in _words(node.elts[1]):
                found.add(code, _text(node.elts[2]) if len(node.elts) > 2 else "")
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if names & BY_CODE:
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    for code in _words(key) if key is not None else ():
                        found.add(code, _text(value))
            if any(TABLE.match(name) for name in names):
                for value in node.value.values:
                    first = value.elts[0] if isinstance(value, ast.Tuple) else value
                    for code in _words(first):
                        found.add(code, _text(value.elts[1]) if isinstance(value, ast.Tuple) else "")


def _text(expression: ast.expr | None) -> str:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return expression.value
    if isinstance(expression, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in expression.values)
    return ""
