"""Chromium for tests that need a real browser, and a dashboard for it to look at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.channels.dashboard.person import Person
from tests.channels.dashboard.stage import Stage, staged


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium. Without one these tests fail: a page nobody has opened is not tested."""
    path = shutil.which("chromium")
    assert path is not None, "the pages are tested in Chromium, and there is none: apt-get install chromium"
    # Chromium's own sandbox refuses to start as root, which is what a build machine often is.
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=words)
        yield browser
        browser.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as running:
        yield running


@pytest.fixture
def person(chromium: Browser, stage: Stage) -> Iterator[Person]:
    """Somebody with a browser of their own, not signed in yet; what the browser did wrong fails the test at its end."""
    with Person.arriving(chromium, stage) as one:
        yield one
    one.check()
