"""Hostile text and narrow screens in a real browser: nothing runs, nothing loads, nothing spills."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from tests.channels.dashboard.person import Person
from tests.channels.dashboard.stage import Stage, staged
from tests.channels.dashboard.test_escapes import PoisonedChannel
from tests.channels.dashboard.test_pages import VIEWS

pytestmark = pytest.mark.live

PAGES = [path for path in VIEWS if not path.startswith("/part/")]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(PoisonedChannel()) as running:
        yield running


def test_what_agents_write_does_nothing_on_any_page(person: Person) -> None:
    person.sign_in()
    for path in PAGES:
        person.open(path)
        person.live()
        assert person.page.evaluate("window.hit") is None, path
        outside = person.page.evaluate(
            "[...document.querySelectorAll('[href],[src],[action]')].map((e) => e.href || e.src || e.action)"
            ".filter((to) => new URL(to).origin !== location.origin)"
        )
        assert outside == [], path
        assert person.page.locator("main img, main iframe, main svg, main video").count() == 0, path


def test_a_forbidden_script_would_be_noticed(person: Person) -> None:
    """The browser itself forbids what escaping is there to prevent, and these tests hear of it."""
    person.sign_in()
    person.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.hit = 1'; document.body.append(s);"
        " const i = document.createElement('img'); i.src = 'http://evil.example/x.png'; document.body.append(i); }"
    )
    expect(person.page.locator("img[src*=evil]")).to_have_count(1)
    assert person.page.evaluate("window.hit") is None
    assert any("Content Security Policy" in told for told in person.complaints)
    person.complaints.clear()
    person.asked.clear()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_page_is_wider_than_its_screen(chromium: Browser, stage: Stage, width: int) -> None:
    with Person.arriving(chromium, stage, viewport={"width": width, "height": 800}) as person:
        person.sign_in()
        for path in PAGES:
            person.open(path)
            assert not person.is_too_wide(), path
            for summary in person.page.locator("main summary").all():
                summary.click()
            assert not person.is_too_wide(), path
    person.check()


def test_on_a_phone_the_menu_opens_without_a_script(chromium: Browser, stage: Stage) -> None:
    with Person.arriving(chromium, stage, viewport={"width": 390, "height": 800}, java_script_enabled=False) as person:
        person.sign_in()
        expect(person.page.locator("#menu")).to_be_hidden()
        person.page.get_by_role("link", name="Menu", exact=True).click()
        person.page.get_by_role("link", name="Ledger").click()
        expect(person.page.get_by_role("heading", level=1)).to_have_text("Ledger")
        expect(person.page.locator("#menu")).to_be_hidden()
    person.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_against_its_ground(chromium: Browser, stage: Stage, scheme: str) -> None:
    """Contrast of at least 4.5 (WCAG 2.2, 1.4.3) of every colour that text has on the grounds it stands on."""
    pairs = [
        (ink, ground)
        for ink in ("ink", "dim", "accent", "good", "wait", "bad")
        for ground in ("paper", "ground", "sunk")
    ]
    pairs += [(tone, f"{tone}-soft") for tone in ("good", "wait", "bad", "accent")] + [("accent-ink", "accent")]
    script = """(pairs) => {
        const style = getComputedStyle(document.documentElement);
        const light = (name) => {
            const hex = style.getPropertyValue('--' + name).trim();
            const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
                .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        return pairs.map(([a, b]) => [light(a), light(b)].sort((x, y) => y - x)).map(([x, y]) => (x + .05) / (y + .05));
    }"""
    with Person.arriving(chromium, stage, color_scheme=scheme) as person:
        person.open("/sign-in")
        ratios = person.page.evaluate(script, pairs)
    assert {pair: ratio for pair, ratio in zip(pairs, ratios, strict=True) if ratio < 4.5} == {}
