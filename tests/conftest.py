"""Rules for every test: where ``BASCULE_NO_SKIPS`` is set, a test that skips itself has failed; none is timed.

Stops: a wall that goes untested because the machine lacked a part, unnoticed among green dots; and a test that fails
because the machine was busy.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example took is the machine's doing; in CI the profile of that name says so too, and is kept otherwise.
settings.register_profile("house", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture
def passable() -> Iterator[Path]:
    """A directory of the test's own that every account may pass to.

    ``tmp_path`` lies in one that all tests share and pytest closes at each start: whoever opens it for a while gives
    the gateways of other tests a view of the machine that does not last.
    """
    with tempfile.TemporaryDirectory(prefix="bascule-passable-") as made:
        Path(made).chmod(0o755)
        yield Path(made).resolve()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure is reported as skipped too; it did run.
    if "BASCULE_NO_SKIPS" not in os.environ or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{why}: not allowed here, where BASCULE_NO_SKIPS is set"
