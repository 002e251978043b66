"""How a box ended, from what was said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.sandboxes.warden.report import BOX_FAILED, Report, has_started, read_report, why_not

STARTED = b'{ "child-pid": 2, "net-namespace": 1 }\n'


@pytest.mark.parametrize(
    ("text", "code", "killed", "wanted"),
    [
        (STARTED + b'{ "exit-code": 0 }\n', 0, False, Report("", "", 0)),
        (STARTED + b'{ "exit-code": 137 }\n', 137, False, Report("", "", 137)),
        (STARTED + b'{ "exit-code": 3 }\n', 3, True, Report("", "", 3)),
        (STARTED, 1, False, Report("box_failed", "the box could not be set up", 1)),
        (STARTED, -9, False, Report("", "", 137)),
        (STARTED, 0, True, Report("", "", 137)),
        (b"", 1, False, Report("box_failed", "the box could not be set up", 1)),
        (b'{"error": {"code": "box_setup", "message": "no"}}\n', 125, False, Report("box_setup", "no", 125)),
    ],
)
def test_ending(text: bytes, code: int, killed: bool, wanted: Report) -> None:
    assert read_report(text, code, killed=killed) == wanted


def test_start_is_told_by_the_child() -> None:
    assert has_started(STARTED)
    assert not has_started(b'{"error": {}}\n')


@given(st.binary(max_size=80), st.integers(-64, 255), st.booleans())
def test_noise_is_survived_and_never_a_success_of_a_box_that_failed(text: bytes, code: int, killed: bool) -> None:
    found = read_report(text, code, killed=killed)
    if b"exit-code" not in text and not killed and code >= 0:
        assert found.problem


@pytest.mark.parametrize(
    ("problem", "value", "named"),
    [(BOX_FAILED, "1", True), (BOX_FAILED, "0", False), ("box_setup", "1", False), ("", "1", False)],
)
def test_a_box_that_was_not_made_names_the_setting_that_may_be_why(
    tmp_path: Path, problem: str, value: str, named: bool
) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "apparmor_restrict_unprivileged_userns").write_text(f"{value}\n")
    assert ("kernel.apparmor_restrict_unprivileged_userns" in why_not(problem, tmp_path)) is named
