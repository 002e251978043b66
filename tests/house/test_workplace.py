"""Nothing the project keeps may point at one machine, and nothing may name an address to install from."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.house.reading import ROOT, tracked

SHARED_PREFIXES = frozenset({"/", "/usr", "/usr/local", "/tmp", "/home", "/root"})
LICENCES = frozenset({"LICENSE", "NOTICE"})

REGISTRIES = re.compile(
    r"pypi\.(org|io)|pythonhosted\.|test\.pypi|registry\.npmjs|index-url\s*=?\s*\w+:|crates\.io/api"
)
MACHINES = re.compile(r"/root/\.(?!bascule|ssh)\w|\.pyenv|/home/(runner|ubuntu|user)/\w|C:\\Users")


def places() -> frozenset[str]:
    """Absolute directories of this very machine, as a text would spell them: the checkout's, its neighbours', Python's."""
    own = {ROOT, Path(sys.base_prefix)}
    if str(ROOT.parent) not in SHARED_PREFIXES:
        own |= {path for path in ROOT.parent.iterdir() if path.is_dir()}
    return frozenset(str(path) for path in own) - SHARED_PREFIXES


def leaks(text: str, here: frozenset[str]) -> list[str]:
    found = [match[0] for match in (*REGISTRIES.finditer(text), *MACHINES.finditer(text))]
    for place in here:
        found += re.findall(rf"(?<![\w.]){re.escape(place)}(?![\w-])", text)
    return found


def test_no_file_points_at_one_machine() -> None:
    found = {}
    for path in tracked():
        if path.name in LICENCES or path == Path(__file__):
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if faults := leaks(text, places()):
            found[path.relative_to(ROOT).as_posix()] = faults
    assert found == {}


def test_a_leak_would_be_seen() -> None:
    here = frozenset({"/where/it/lies"})
    assert leaks("see /where/it/lies/main.py", here)
    assert leaks("pip install --index-url https://example.test/simple x", here)
    assert leaks("/root/.local/bin", here)
    assert not leaks("/workspace/notes.md and /where/it/lies-not", here)
