"""Answering in a real browser: live, by hand, by keyboard, several at once, second, and without any script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from tests.channels.dashboard.person import Person
from tests.channels.dashboard.stage import CARD, Stage, question

pytestmark = pytest.mark.live

SECOND = 1000
"""Milliseconds in which an answer given elsewhere must show."""


def state(stage: Stage, number: int) -> tuple[str, str]:
    row = stage.do(lambda: dict(stage.channel.questions[f"apr_{number:016x}"]))
    return row["state"], row["answered_by"]


def test_every_pending_question_is_there_with_its_whole_card(person: Person, stage: Stage) -> None:
    person.sign_in()
    person.open("/pending")
    cards = person.page.locator("article.card")
    expect(cards).to_have_count(3)
    for row, card in zip(stage.channel.questions.values(), cards.all(), strict=True):
        assert card.locator(".line").all_inner_texts() == row["card"]
        assert row["id"] in card.inner_text()
        assert card.locator("input[name=digest]").first.get_attribute("value") == row["digest"]
    expect(person.page.locator("#badge")).to_have_text("3 pending")


def test_an_answer_elsewhere_shows_within_a_second_with_who_gave_it(person: Person, stage: Stage) -> None:
    person.sign_in()
    person.open("/pending")
    person.live()
    stage.do(lambda: stage.channel.settle("apr_0000000000000002", "pat (signal)", "denied"))
    expect(person.card(2)).to_contain_text("denied by pat (signal)", timeout=SECOND)
    expect(person.card(2).get_by_role("button")).to_have_count(0)
    expect(person.page.locator("#badge")).to_contain_text("2 pending", timeout=SECOND)
    expect(person.card(1).get_by_role("button", name="Yes, once")).to_be_visible()
    assert state(stage, 2) == ("denied", "pat (signal)")


def test_a_new_question_comes_by_itself_and_the_last_one_answered_leaves_a_word(person: Person, stage: Stage) -> None:
    stage.do(stage.channel.questions.clear)
    person.sign_in()
    person.open("/pending")
    expect(person.page.locator("#empty")).to_be_visible()
    person.live()
    stage.do(lambda: stage.channel.put(question(7, CARD)))
    expect(person.card(7)).to_be_visible(timeout=SECOND)
    expect(person.page.locator("#empty")).to_be_hidden()
    person.card(7).get_by_role("button", name="No", exact=True).click()
    expect(person.card(7)).to_contain_text("denied by browser (dashboard)")
    expect(person.page.locator("#summary")).to_have_text("0 questions, oldest first")
    assert state(stage, 7) == ("denied", "browser (dashboard)")


def test_what_was_being_written_survives_a_new_question(person: Person, stage: Stage) -> None:
    person.sign_in()
    person.open("/pending")
    person.live()
    person.card(1).locator("summary").click()
    person.card(1).locator("input[name=args]").fill("-l *.md")
    person.card(2).locator(".tick").check()
    stage.do(lambda: stage.channel.put(question(8, CARD)))
    expect(person.card(8)).to_be_visible()
    expect(person.card(1).locator("input[name=args]")).to_have_value("-l *.md")
    expect(person.card(2).locator(".tick")).to_be_checked()
    assert state(stage, 8)[0] == "pending"


@pytest.mark.parametrize(("button", "settled"), [("Yes, once", "approved"), ("No", "denied")])
def test_yes_and_no_by_hand(person: Person, stage: Stage, button: str, settled: str) -> None:
    person.sign_in()
    person.open("/pending")
    person.card(1).get_by_role("button", name=button, exact=True).click()
    expect(person.card(1)).to_contain_text(f"{settled} by browser (dashboard)")
    assert state(stage, 1) == (settled, "browser (dashboard)")
    assert state(stage, 2)[0] == "pending"


def test_nothing_moves_under_a_finger_when_questions_settle(person: Person, stage: Stage) -> None:
    person.sign_in()
    person.open("/pending")
    person.live()
    before = person.card(3).bounding_box()
    stage.do(lambda: stage.channel.settle("apr_0000000000000001", "pat (signal)"))
    expect(person.card(1)).to_contain_text("approved by pat (signal)")
    person.card(2).get_by_role("button", name="No", exact=True).click()
    expect(person.card(2)).to_contain_text("denied by browser (dashboard)")
    after = person.card(3).bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2


def test_a_second_answer_is_told_who_was_first(person: Person, stage: Stage) -> None:
    person.sign_in()
    person.open("/pending")
    # Settled without a word to the page, as by a surface that was faster than the stream.
    person.context.route("**/part/**", lambda route: route.abort())
    stage.do(lambda: stage.channel.questions["apr_0000000000000001"].update(state="denied", answered_by="pat (signal)"))
    person.expected = ("Failed to load resource", "Response Status Error Code 409")
    person.card(1).get_by_role("button", name="Yes, once").click()
    expect(person.page.get_by_role("alert")).to_contain_text("is already denied by pat (signal)")
    expect(person.card(1)).to_contain_text("denied by pat (signal)")
    assert state(stage, 1) == ("denied", "pat (signal)")


@pytest.mark.parametrize(
    ("extent", "fill", "wanted"),
    [
        ("similar", {}, ("similar", False, 60, None, None, None)),
        ("exact", {"uses": "3"}, ("exact", False, 60, 3, None, None)),
        (
            "pattern",
            {"args": "-l *.md", "under": "/workspace/notes"},
            ("pattern", False, 60, None, "-l *.md", "/workspace/notes"),
        ),
    ],
)
def test_a_yes_to_more(
    person: Person, stage: Stage, extent: str, fill: dict[str, str], wanted: tuple[object, ...]
) -> None:
    person.sign_in()
    person.open("/pending")
    card = person.card(1)
    card.locator("summary").click()
    card.locator(f"input[value={extent}]").check()
    for name, value in fill.items():
        card.locator(f"input[name={name}]").fill(value)
    card.get_by_role("button", name="Yes, and to these").click()
    expect(card).to_contain_text("approved by browser (dashboard)")
    [wider] = stage.do(lambda: list(stage.channel.widened))
    assert (wider.extent, wider.this_session, wider.minutes, wider.uses, wider.args, wider.under) == wanted


def test_several_at_once_are_shown_once_more_and_answered_by_id_and_digest(person: Person, stage: Stage) -> None:
    person.sign_in()
    person.open("/pending")
    expect(person.page.locator("#bulk")).to_be_hidden()
    expect(person.card(3).locator(".tick")).to_have_count(0)
    person.card(1).locator(".tick").check()
    person.card(2).locator(".tick").check()
    person.page.get_by_role("button", name="Yes to the ticked…").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Yes to these 2?")
    expect(person.page.locator("article.card")).to_have_count(2)
    # One comes in between: it is not among what was shown, so it is not answered.
    stage.do(lambda: stage.channel.put(question(9, CARD)))
    person.page.get_by_role("button", name="Yes, once each").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("2 questions answered")
    assert [state(stage, number)[0] for number in (1, 2, 3, 9)] == ["approved", "approved", "pending", "pending"]


def test_the_keyboard_alone_answers_and_only_after_enter(person: Person, stage: Stage) -> None:
    person.sign_in()
    person.open("/pending")
    press = person.page.keyboard.press
    press("j")
    expect(person.card(1)).to_be_focused()
    press("j")
    expect(person.card(2)).to_be_focused()
    press("k")
    press("a")
    expect(person.card(1).locator(".armed")).to_have_text("Yes, once")
    press("Escape")
    assert state(stage, 1)[0] == "pending"
    press("d")
    press("Enter")
    expect(person.card(1)).to_contain_text("denied by browser (dashboard)")
    expect(person.card(2)).to_be_focused()
    press("a")
    press("Enter")
    expect(person.card(2)).to_contain_text("approved by browser (dashboard)")
    press("/")
    expect(person.page.get_by_role("searchbox")).to_be_focused()
    person.page.keyboard.type("message a d")
    press("Enter")
    person.page.wait_for_url("**/pending?q=message*")
    assert state(stage, 3)[0] == "pending"
    press("?")
    expect(person.page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_without_any_script_every_answer_can_be_given(chromium: Browser, stage: Stage) -> None:
    with Person.arriving(chromium, stage, java_script_enabled=False) as person:
        person.sign_in()
        person.open("/pending")
        person.card(1).get_by_role("button", name="Yes, once").click()
        expect(person.page.get_by_role("heading", level=1)).to_have_text("You said yes, once")
        person.page.get_by_role("link", name="Back to what is pending").click()
        person.card(2).locator(".tick").check()
        person.page.get_by_role("button", name="No to the ticked…").click()
        person.page.get_by_role("button", name="No to all of these").click()
        expect(person.page.locator("article.card")).to_contain_text("denied by browser (dashboard)")
        person.open("/approvals/apr_0000000000000001")
        expect(person.card(1)).to_contain_text("approved by browser (dashboard)")
        assert [state(stage, number)[0] for number in (1, 2, 3)] == ["approved", "denied", "pending"]
    person.check()
