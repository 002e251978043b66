"""Cards are kept line for line, and the table refuses states that do not exist."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from tests.keeping import Keeping

from bascule.core.errors import Malformed
from bascule.desk.rows import card_text

ROW = "INSERT INTO desk SELECT 'x', 'x', '', '', '', '', {state}, 1, 1, '', '', '', 1, {rank}, 1, x'00', '', '', '', ''"


@pytest.mark.parametrize("lines", [(), ("one", "two\nthree"), ("\n",)])
def test_a_card_whose_lines_could_be_miscounted_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(Malformed):
        card_text(lines)


def test_a_card_keeps_its_lines() -> None:
    assert card_text(("one", "", "three")).split("\n") == ["one", "", "three"]


@pytest.mark.parametrize(("state", "rank"), [("'maybe'", "'00'"), ("'pending'", "'02'"), ("NULL", "'00'")])
def test_the_table_refuses_what_does_not_exist(tmp_path: Path, state: str, rank: str) -> None:
    with Keeping(tmp_path) as kept:
        with pytest.raises(apsw.ConstraintError):
            kept.database.write(ROW.format(state=state, rank=rank))
        kept.database.write(ROW.format(state="'pending'", rank="'11'"))
        assert kept.database.read("SELECT count(*) FROM desk") == [(1,)]
