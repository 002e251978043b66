"""What a written path means, given a snapshot of links."""

from __future__ import annotations

import pytest

from bascule.policy.paths import PathNames, resolve_directory, resolve_pattern, resolve_program

LINKS = {"/bin": "/usr/bin", "/a": "/b", "/b/c": "/d", "/loop": "/loop", "/usr/bin/sh": "/usr/bin/dash"}
NAMES = PathNames("/h/agents/a", "/home/me", LINKS)


@pytest.mark.parametrize(
    ("pattern", "meaning"),
    [
        ("/bin/ls", "/usr/bin/ls"),
        ("/usr/bin/ls", "/usr/bin/ls"),
        ("/bin/*", "/usr/bin/*"),
        ("/bin*/x", "/bin*/x"),
        ("/a/c/x", "/d/x"),
        ("tools/*.sh", "/h/agents/a/tools/*.sh"),
        ("./tools/x", "/h/agents/a/tools/x"),
        ("/workspace/tools/*.sh", "/h/agents/a/tools/*.sh"),
        ("~/bin/x", "/home/me/bin/x"),
        ("rg", "rg"),
        ("*", "*"),
        ("**", "**"),
        ("/*", "/*"),
        ("/usr/bin/sh", "/usr/bin/sh"),
        ("/loop/x", "/loop/x"),
    ],
)
def test_a_pattern_becomes_absolute_and_its_directory_is_resolved(pattern: str, meaning: str) -> None:
    assert resolve_pattern(pattern, NAMES) == meaning


def test_without_a_home_a_tilde_means_nothing() -> None:
    assert resolve_pattern("~/x", PathNames("/h/agents/a")) == "~/x"


def test_a_needed_program_counts_under_each_of_its_names() -> None:
    assert resolve_program("/bin/sh", NAMES) == ("/bin/sh", "/usr/bin/sh", "/usr/bin/dash")
    assert resolve_program("/usr/bin/wc", NAMES) == ("/usr/bin/wc",)


def test_links_that_lead_in_circles_end() -> None:
    assert resolve_directory("/x/y", {"/x": "/y", "/y": "/x"}) == "/x/y"
