"""Prompt files in order, under their names."""

from __future__ import annotations

from bascule.runtime.prompts import Prompt, compose
from bascule.runtime.results import SKIPPED, UNKNOWN


def test_files_keep_their_order_and_empty_ones_are_left_out() -> None:
    text = compose([Prompt("AGENTS.md", "be kind\n"), Prompt("EMPTY.md", " \n"), Prompt("SOUL.md", "be brief")])
    assert text.endswith("# AGENTS.md\n\nbe kind\n\n# SOUL.md\n\nbe brief")
    assert "EMPTY" not in text


def test_the_rules_use_the_words_that_results_use() -> None:
    text = compose([])
    assert "outcome unknown" in text
    assert UNKNOWN.text.startswith("outcome unknown")
    assert "refused:" in text
    assert not SKIPPED.text.startswith("refused")
