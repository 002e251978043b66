from __future__ import annotations

import ast

from tests.house.reading import ROOT, SRC, called, calls, imports, is_deciding, sources, tracked


def test_imports_are_found_wherever_they_stand() -> None:
    tree = ast.parse(
        "import os\n"
        "from bascule import app\n"
        "if TYPE_CHECKING:\n    import typing_only\n"
        "try:\n    import tried\nexcept ImportError:\n    import instead\n"
        "class C:\n    import in_class\n"
        "def f():\n    import lazy\n    with x:\n        import lazier\n"
    )
    found = {entry.module: entry.at_load for entry in imports(tree)}
    assert found == {
        "os": True,
        "bascule": True,
        "bascule.app": True,
        "typing_only": False,
        "tried": True,
        "instead": True,
        "in_class": True,
        "lazy": False,
        "lazier": False,
    }


def test_calls_are_named_by_their_dots() -> None:
    tree = ast.parse("a.b.c(1)\nd()\n(x or y).z()\n")
    assert [called(call) for call in calls(tree)] == ["a.b.c", "d", "?.z"]


def test_the_tree_is_seen() -> None:
    assert SRC / "core" / "errors.py" in sources()
    assert ROOT / "pyproject.toml" in tracked()
    assert is_deciding(SRC / "core" / "ids.py")
    assert is_deciding(SRC / "judge.py")
    assert is_deciding(SRC / "tools" / "read" / "spec.py")
    assert not is_deciding(SRC / "control" / "server.py")
