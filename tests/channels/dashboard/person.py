"""A person with a browser: what they do, and everything their browser asks for or complains about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page
from tests.channels.dashboard.stage import Stage

WATCH = "document.addEventListener('securitypolicyviolation', (e) => console.error('CSP ' + e.violatedDirective + ' ' + e.blockedURI))"


class Person:
    """One browser context with one page open."""

    def __init__(self, context: BrowserContext, stage: Stage) -> None:
        self.context = context
        self.stage = stage
        self.page: Page = context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        context.add_init_script(WATCH)

    @classmethod
    @contextmanager
    def arriving(cls, browser: Browser, stage: Stage, **how: Any) -> Iterator[Person]:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | how)
        context.set_default_timeout(30_000)
        try:
            yield cls(context, stage)
        finally:
            context.close()

    def check(self) -> None:
        """Nothing was asked of another host, and the browser found nothing to complain about but what is expected."""
        own = urlsplit(self.stage.address).netloc
        assert [url for url in self.asked if urlsplit(url).netloc != own] == []
        assert [told for told in self.complaints if not told.startswith(self.expected or ("\0",))] == []

    def sign_in(self) -> None:
        self.page.goto(self.stage.link())
        self.page.get_by_role("button", name="Sign this browser in").click()
        self.page.wait_for_url(self.stage.address + "/")

    def open(self, path: str) -> None:
        self.page.goto(self.stage.address + path)

    def live(self) -> None:
        """Wait until the page hears of changes."""
        self.page.wait_for_selector("#live-state.on", state="attached")

    def card(self, number: int) -> Locator:
        return self.page.locator(f"#apr_{number:016x}")

    def is_too_wide(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
