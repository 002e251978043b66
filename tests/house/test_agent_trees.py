"""The gateway opens nothing below an agent's directory by path: what lies there may be a link the agent planted.

Stops: a plain ``open(layout.agent_root + …)`` or a ``Path`` method on such a name. It follows names within one function;
a path handed on through another function's parameter of an innocent name is not seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from tests.house.reading import called, calls, name_of, parsed, sources

MAY: dict[str, str] = {
    "sandboxes/worker/": "runs inside the box as the agent, and opens with openat2 only",
    "sandboxes/warden/": "opens bind sources with openat2, following no link",
    "host/accounts.py": "makes the directories before an agent has ever run",
}
"""Where agents' trees may be opened, and why."""

AGENT_NAMES = re.compile(r"^(agent|agents)_?(root|dir|dirs|directory|directories|home|homes|tree|trees|path|paths)$")
AGENT_TEXT = re.compile(r"(^|/)(agents|shared)(/|$)")
OPENING = re.compile(
    r"^(open|io\.open|os\.(open|scandir|listdir|walk|fwalk|stat|lstat|chown|lchown|chmod|unlink|remove|rmdir|removedirs"
    r"|rename|replace|link|symlink|mkdir|makedirs|truncate|utime|access|readlink)|shutil\.\w+|glob\.\w+"
    r"|os\.path\.(exists|isfile|isdir|islink|realpath|getsize|getmtime))$"
)
PATH_METHODS = frozenset(
    [
        "open",
        "read_text",
        "read_bytes",
        "write_text",
        "write_bytes",
        "unlink",
        "rmdir",
        "mkdir",
        "touch",
        "chmod",
        "rename",
        "replace",
        "iterdir",
        "glob",
        "rglob",
        "walk",
        "stat",
        "lstat",
        "exists",
        "is_file",
        "is_dir",
        "is_symlink",
        "resolve",
        "readlink",
        "symlink_to",
        "hardlink_to",
        "owner",
        "group",
        "samefile",
    ]
)


def openings(tree: ast.Module) -> list[str]:
    found: list[str] = []
    for scope in _scopes(tree):
        agents = _agent_names(scope)
        found += [f"line {call.lineno}: {ast.unparse(call)[:80]}" for call in calls(scope) if _opens(call, agents)]
    return sorted(set(found))


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    functions = [
        node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    ]
    return iter([*functions, tree])


def _agent_names(scope: ast.AST) -> frozenset[str]:
    """Local names that hold something derived from an agent's directory, found by going round until nothing is new."""
    names: frozenset[str] = frozenset()
    while True:
        more = set(names)
        for node in ast.walk(scope):
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if _is_agents(node.value, names):
                    more |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)) and _is_agents(node.iter, names):
                more |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
        if more == names:
            return names
        names = frozenset(more)


def _is_agents(expression: ast.AST, names: frozenset[str]) -> bool:
    for node in ast.walk(expression):
        if isinstance(node, ast.Name) and (node.id in names or AGENT_NAMES.match(node.id)):
            return True
        if isinstance(node, ast.Attribute) and AGENT_NAMES.match(node.attr):
            return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and AGENT_TEXT.search(node.value):
            return True
    return False


def _opens(call: ast.Call, agents: frozenset[str]) -> bool:
    # A name relative to an open directory descriptor is not a path from the root; how it is opened is the callee's law.
    if any(keyword.arg in {"dir_fd", "src_dir_fd", "dst_dir_fd"} for keyword in call.keywords):
        return False
    if OPENING.match(called(call)):
        return any(_is_agents(argument, agents) for argument in call.args)
    if isinstance(call.func, ast.Attribute) and call.func.attr in PATH_METHODS:
        # `text.replace("agents", "x")` is not a path's: only what the method hangs on counts.
        is_text = call.func.attr == "replace" and len(call.args) > 1
        return not is_text and _is_agents(call.func.value, agents)
    return False


def test_nothing_outside_opens_an_agents_tree_by_path() -> None:
    found = {name_of(path): openings(parsed(path)) for path in sources() if not name_of(path).startswith(tuple(MAY))}
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    "body",
    [
        "open(layout.agent_root + '/notes.md')",
        "(home / 'agents' / name / 'MEMORY.md').read_text()",
        "where = Path(policy.layout.agent_root)\n    inner = where / 'memory'\n    return [p for p in inner.iterdir()]",
        "for entry in os.scandir(f'{home}/agents/{name}'):\n        pass",
        "root = home / 'agents'\n    for each in names:\n        target = root / each\n        os.chown(target, 1, 1)",
        "shutil.rmtree(agent_dir)",
        "(home / 'shared' / 'repo').rglob('*')",
        "if (path := layout.agent_root):\n        os.stat(path)",
    ],
)
def test_an_opening_would_be_seen(body: str) -> None:
    assert openings(ast.parse(f"def f(home, layout, names, name):\n    {body}\n"))


@pytest.mark.parametrize(
    "body",
    [
        "return is_within(path, layout.agent_root)",
        "return layout.agent_root.replace('a', 'b')",
        "open(home / 'state' / 'ledger.db')",
        "os.open(name, os.O_PATH, dir_fd=agents_dir)",
        "config['agents'].get('list')",
    ],
)
def test_what_opens_nothing_of_an_agents_is_left_alone(body: str) -> None:
    assert openings(ast.parse(f"def f(home, layout, path, name):\n    {body}\n")) == []
