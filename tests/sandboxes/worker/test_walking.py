from __future__ import annotations

import asyncio
import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sandboxes.worker.started import place, started

from bascule.core.errors import Malformed
from bascule.sandboxes.hello import Root, WorkerLimits
from bascule.sandboxes.worker.match import Pattern, PatternError
from bascule.sandboxes.worker.refusal import RefusedError
from bascule.sandboxes.worker.roots import Root as WorkerRoot
from bascule.sandboxes.worker.roots import Roots
from bascule.sandboxes.worker.walking import Walker

TREE = (
    "a.md",
    "b.md",
    ".hidden.md",
    "ab",
    "a b",
    "a\nb",
    "é.md",
    "-rf",
    "[x]",
    "a-c",
    "]",
    "*",
    "d/a.md",
    "d/.h",
    "d/e/a.md",
    ".dot/a.md",
    "z/",
)


@pytest.fixture(scope="module")
def tree():
    with place() as base:
        os.rmdir(base + "/w")
        for name in TREE:
            os.makedirs(os.path.dirname(f"{base}/{name}"), exist_ok=True)
            if not name.endswith("/"):
                with open(f"{base}/{name}", "w"):
                    pass
        yield base


def expand(base: str, pattern: str, *, entries: int = 1000, limit: int = 1000) -> list[str]:
    roots = Roots([WorkerRoot(os.fsencode(base), writable=False)])
    found = Walker(roots, entries, limit).expand(Pattern(pattern), os.fsencode(base))
    return [os.fsdecode(name) for name in found]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.md", ["./a.md", "./b.md", "./é.md"]),
        ("./*.md", ["./a.md", "./b.md", "./é.md"]),
        (".*.md", ["./.hidden.md"]),
        ("*/", ["./d/", "./z/"]),
        ("*/*.md", ["./d/a.md"]),
        (".*/*.md", ["./.dot/a.md"]),
        ("d/*/a.md", ["./d/e/a.md"]),
        ("*/e/*", ["./d/e/a.md"]),
        (
            "**",
            [
                "./" + name
                for name in ("*", "-rf", "[x]", "]", "a b", "a\nb", "a-c", "a.md", "ab", "b.md", "d", "z", "é.md")
            ],
        ),
        (r"\*", ["./*"]),
        ("nothing*", []),
        ("a.md/*", []),
        ("none/*", []),
        ("z/*", []),
    ],
)
def test_matches(tree, pattern, found):
    assert expand(tree, pattern) == sorted(found, key=os.fsencode)


def test_absolute_patterns_give_absolute_names(tree):
    assert expand(tree, f"{tree}/[ab].md") == [f"{tree}/a.md", f"{tree}/b.md"]


@pytest.mark.parametrize("pattern", ["/etc/*", "/*", "/tmp/../etc/*"])
def test_patterns_outside_the_roots(tree, pattern):
    with pytest.raises((RefusedError, PatternError)):
        expand(tree, pattern)


BASH = shutil.which("bash")
SCRIPT = 'shopt -s nullglob; IFS=; cd "$1" && shift; for p in "$@"; do m=($p); [ ${#m[@]} = 0 ] || printf "%s\\0" "${m[@]}"; printf "\\0"; done'


def bash(base: str, patterns: list[str]) -> list[list[bytes]]:
    run = subprocess.run(
        [BASH or "bash", "--norc", "-c", SCRIPT, "bash", base, *patterns],
        capture_output=True,
        check=True,
        env={"LC_ALL": "C.UTF-8"},
    )
    lists: list[list[bytes]] = [[]]
    for name in run.stdout.split(b"\0"):
        if name:
            lists[-1].append(name)
        else:
            lists.append([])
    return lists[: len(patterns)]


WILD = st.lists(
    st.sampled_from(
        ["*", "?", "[", "]", "!", "^", "-", "a", "b", "c", "d", ".", "m", "e", "é", "*.md", "[a-c]", "[!a]", "d/", "*/"]
    ),
    min_size=1,
    max_size=6,
).map("".join)


@pytest.mark.skipif(BASH is None, reason="no bash to compare with")
@settings(max_examples=8, deadline=None)
@given(st.lists(WILD, min_size=30, max_size=60))
def test_the_same_names_as_bash(tree, patterns):
    usable = []
    for pattern in patterns:
        try:
            parsed = Pattern("./" + pattern)
        except PatternError:
            continue
        if (
            any(component.literal is None for component in parsed.components)
            and "//" not in pattern
            and "/./" not in "/" + pattern + "/"
        ):
            usable.append("./" + pattern)
    for pattern, wanted in zip(usable, bash(tree, usable), strict=True):
        ours = [os.fsencode(name) for name in expand(tree, pattern)]
        beyond_us = [
            name for name in wanted if name.rstrip(b"/").rsplit(b"/", 1)[-1] in {b".", b".."} or b"/../" in name
        ]
        assert ours == sorted(name for name in wanted if name not in beyond_us), pattern


def test_links_are_named_but_never_walked_through():
    with place() as base:
        os.symlink("/etc", base + "/w/link")
        assert expand(base, "w/*") == ["./w/link"]
        for pattern in ("w/*/*", "w/link/*", "w/*/"):
            assert expand(base, pattern) == []


def test_bounds_refuse_instead_of_cutting():
    with place() as base:
        for number in range(20):
            with open(f"{base}/w/{number:02}", "w"):
                pass
        assert len(expand(base, "w/*", entries=20, limit=20)) == 20
        for bounds, code in (({"entries": 19}, "glob_too_wide"), ({"limit": 19}, "glob_too_many")):
            with pytest.raises(RefusedError) as refused:
                expand(base, "w/*", **bounds)
            assert refused.value.code == code


def test_a_matching_name_that_is_not_text_refuses_and_another_does_not():
    with place() as base:
        with open(os.fsencode(base) + b"/w/bad\xff", "w"):
            pass
        assert expand(base, "w/x*") == []
        with pytest.raises(RefusedError) as refused:
            expand(base, "w/b*")
        assert refused.value.code == "glob_name_not_text"


def test_no_descriptor_is_left_open(tree):
    roots, start = Roots([WorkerRoot(os.fsencode(tree), writable=False)]), os.fsencode(tree)
    before = len(os.listdir("/proc/self/fd"))
    assert Walker(roots, 1000, 1000).expand(Pattern("*/*/*"), start) == [b"./d/e/a.md"]
    with pytest.raises(RefusedError):
        Walker(roots, 3, 1000).expand(Pattern("*/*"), start)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.live
def test_behind_the_walls():
    async def run(base: str) -> None:
        async with started(Root(base), Root("/dev/null"), limits=WorkerLimits(read_bytes=300)) as worker:
            assert await worker.files.glob(base + "/w/é*", limit=9) == (base + "/w/é\n\x1b",)
            assert await worker.files.glob(base + "/x/*", limit=9) == ()
            assert await worker.files.glob("/dev/null/*", limit=9) == ()
            for pattern, code in (
                ("/proc/*", "path_outside"),
                ("../*", "pattern_refused"),
                (base + "/w/*", "glob_too_many"),
            ):
                with pytest.raises(Malformed) as refused:
                    await worker.files.glob(pattern, limit=100)
                assert refused.value.code == code

    with place() as base:
        for name in ("é\n\x1b", "a" * 250, "b" * 250):
            with open(f"{base}/w/{name}", "w"):
                pass
        asyncio.run(run(base))
