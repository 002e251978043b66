from __future__ import annotations

from bascule.core.label import UNKNOWN, Integrity
from bascule.core.outcome import Outcome, failed


def test_a_failure_is_never_ok_and_carries_its_code() -> None:
    outcome = failed("file_missing", "there is no file")
    assert (outcome.ok, outcome.code, outcome.content) == (False, "file_missing", b"there is no file")


def test_a_failure_can_be_told_whatever_its_sentence_holds() -> None:
    assert failed("x", "half \ud800 a character").content == b"half \\ud800 a character"


def test_nobody_vouches_for_a_result_unless_somebody_says_so() -> None:
    assert Outcome(ok=True, content=b"").label == UNKNOWN


def test_a_failure_is_told_in_our_words_so_it_does_not_stain_a_session() -> None:
    assert failed("x", "y").label.integrity is Integrity.TRUSTED
    assert failed("x", "y").label.sources == frozenset()
