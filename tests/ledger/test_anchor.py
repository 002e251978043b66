"""Heads are kept twice, and the two copies catch up with each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.keeping import Keeping

from bascule.core.errors import Unavailable
from bascule.ledger.anchor import HEADS_FILE
from bascule.ledger.chain import parse_head


def anchored(kept: Keeping, times: int) -> None:
    for _ in range(times):
        kept.decided()
        kept.ledger.anchor()


def test_the_copy_is_private_and_reads_back(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        anchored(kept, 3)
        assert [parse_head(line).seq for line in kept.heads()] == [1, 2, 3]
        assert (tmp_path / HEADS_FILE).stat().st_mode & 0o777 == 0o600


def test_heads_that_the_copy_lacks_are_copied_at_start(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        anchored(kept, 3)
        lines = kept.heads()
    (tmp_path / HEADS_FILE).write_text(lines[0] + "\n")
    with Keeping(tmp_path) as kept:
        assert kept.heads() == lines


def test_a_torn_line_is_cut_off_and_written_again(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        anchored(kept, 2)
        lines = kept.heads()
    (tmp_path / HEADS_FILE).write_text(lines[0] + "\n" + lines[1][:50])
    with Keeping(tmp_path) as kept:
        assert (kept.heads(), kept.verified().ok) == (lines, True)


def test_numbers_go_on_after_the_newest_of_both(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        anchored(kept, 2)
    with Keeping(tmp_path) as kept:
        kept.database.write("DELETE FROM ledger_heads WHERE number = 2")
    with Keeping(tmp_path) as kept:
        anchored(kept, 1)
        assert [parse_head(line).number for line in kept.heads()] == [1, 2, 3]
        assert kept.verified().ok


def test_a_copy_behind_a_link_is_refused(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        anchored(kept, 1)
    (tmp_path / HEADS_FILE).rename(tmp_path / "moved")
    (tmp_path / HEADS_FILE).symlink_to(tmp_path / "moved")
    with pytest.raises(Unavailable) as caught:
        Keeping(tmp_path)
    assert caught.value.code == "heads_copy"
