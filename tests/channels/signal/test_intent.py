"""The table of what a message means: a row for every way to answer, and for every way that must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from demo.signal_daemon import Person
from hypothesis import given
from hypothesis import strategies as st
from tests.channels.signal.acting_house import ANN, BEN, CAT, EVE, GROUP, US, policy

from bascule.channels.signal.envelope import Envelope, Kind, Reaction, Target, is_us
from bascule.channels.signal.intent import Act, Known, SentCard, Why, holds_code, person_of, thumb, understand
from bascule.core.policy import Operator
from bascule.policy.senders import Sender

CODE, ID = "7KQ2M4T1", "apr_00000000000000ff"
CARD = SentCard(ID, CODE, whole=True)
POINTER = SentCard(ID, CODE, whole=False)
UP, DOWN = "\U0001f44d", "\U0001f44e"


def sender(person: Person) -> Sender:
    return Sender(person.number or "", person.uuid or "")


def message(who: Person, text: str = "", **more: Any) -> Envelope:
    return replace(Envelope("", sender(who), 5, Kind.TEXT, text=text), **more)


def quoting(who: Person, text: str, author: Person | None = US, **more: Any) -> Envelope:
    return message(who, text, quote=Target(100, sender(author) if author else None), **more)


def thumbed(who: Person, emoji: str, author: Person = US, removed: bool = False, **more: Any) -> Envelope:
    reaction = Reaction(emoji, Target(100, sender(author)), removed)
    return message(who, "", kind=Kind.REACTION, reaction=reaction, **more)


def means(found: Envelope, card: SentCard | None = CARD, rules: dict[str, Any] | None = None, **more: Any) -> Any:
    known = policy(**(rules or {}))
    assert known.signal is not None
    return understand(found, Known(known.signal, known, **({"card": card, "codes": {CODE}} | more)))


MENTION = {"mentions": (sender(US),)}

ROWS = [
    # answers that count
    (quoting(ANN, "yes"), CARD, Act.APPROVE, Why.BY_CARD),
    (quoting(ANN, " Y\n"), CARD, Act.APPROVE, Why.BY_CARD),
    (quoting(ANN, "Approve"), CARD, Act.APPROVE, Why.BY_CARD),
    (quoting(ANN, "NO"), CARD, Act.DENY, Why.BY_CARD),
    (quoting(ANN, "n"), CARD, Act.DENY, Why.BY_CARD),
    (quoting(CAT, "deny"), CARD, Act.DENY, Why.BY_CARD),
    (thumbed(ANN, UP), CARD, Act.APPROVE, Why.BY_CARD),
    (thumbed(CAT, DOWN + "\U0001f3ff"), CARD, Act.DENY, Why.BY_CARD),
    (thumbed(ANN, UP + "\ufe0f"), CARD, Act.APPROVE, Why.BY_CARD),
    (message(ANN, f"yes {CODE}"), None, Act.APPROVE, Why.BY_CODE),
    (message(ANN, f"NO   {CODE.lower()[:4]}-{CODE.lower()[4:]}"), None, Act.DENY, Why.BY_CODE),
    (message(ANN, f"yes {CODE.replace('1', 'l')}"), None, Act.APPROVE, Why.BY_CODE),
    (quoting(ANN, f"yes {CODE}"), CARD, Act.APPROVE, Why.BY_CODE),
    (message(ANN, "yes 00000000"), None, Act.APPROVE, Why.BY_CODE),  # the desk says that there is no such question
    # a question that is shown elsewhere takes a no, and a yes only with the code that stands there
    (quoting(ANN, "no"), POINTER, Act.DENY, Why.BY_CARD),
    (thumbed(ANN, DOWN), POINTER, Act.DENY, Why.BY_CARD),
    (quoting(ANN, "yes"), POINTER, Act.TELL, Why.CARD_ELSEWHERE),
    (thumbed(ANN, UP), POINTER, Act.TELL, Why.CARD_ELSEWHERE),
    # answers that do not
    (quoting(ANN, "yes please"), CARD, Act.TELL, Why.CARD_UNCLEAR),
    (quoting(ANN, ""), CARD, Act.TELL, Why.CARD_UNCLEAR),
    (quoting(ANN, "yes 11111111"), CARD, Act.TELL, Why.WRONG_CARD),
    (quoting(ANN, "yes", author=EVE), CARD, Act.CHAT, Why.TALKS),
    (quoting(ANN, "yes", author=None), CARD, Act.CHAT, Why.TALKS),
    (quoting(ANN, "yes"), None, Act.CHAT, Why.TALKS),
    (message(ANN, "yes"), CARD, Act.CHAT, Why.TALKS),
    (message(ANN, CODE), None, Act.TELL, Why.HOLDS_CODE),
    (message(ANN, f"yes, {CODE}"), None, Act.TELL, Why.HOLDS_CODE),
    (message(ANN, f"yes {CODE} now"), None, Act.TELL, Why.HOLDS_CODE),
    (message(ANN, f"yes {ID}"), None, Act.TELL, Why.HOLDS_CODE),
    (message(ANN, "forwarded:\n\U0001f510 QUESTION 7KQ2 M4T1"), None, Act.TELL, Why.HOLDS_CODE),
    (message(ANN, "no problems"), None, Act.CHAT, Why.TALKS),
    (quoting(BEN, "yes"), CARD, Act.CHAT, Why.TALKS),
    (message(BEN, f"yes {CODE}"), None, Act.TELL, Why.HOLDS_CODE),
    (quoting(EVE, "yes"), CARD, Act.PAIR, Why.UNKNOWN),
    (message(EVE, f"yes {CODE}"), None, Act.PAIR, Why.UNKNOWN),
    (thumbed(ANN, UP), None, Act.SILENT, Why.NO_CARD),
    (thumbed(ANN, UP, author=EVE), CARD, Act.SILENT, Why.NO_CARD),
    (thumbed(ANN, UP, group=GROUP), CARD, Act.SILENT, Why.NO_CARD),
    (thumbed(ANN, UP, removed=True), CARD, Act.SILENT, Why.REMOVED),
    (thumbed(ANN, "\u2764"), CARD, Act.SILENT, Why.OTHER_EMOJI),
    (thumbed(ANN, UP + DOWN), CARD, Act.SILENT, Why.OTHER_EMOJI),
    (thumbed(BEN, UP), CARD, Act.SILENT, Why.NO_CARD),
    (thumbed(EVE, UP), CARD, Act.SILENT, Why.NO_CARD),
    (message(ANN, kind=Kind.EDIT), CARD, Act.TELL, Why.EDITED),
    (message(EVE, kind=Kind.EDIT), CARD, Act.SILENT, Why.EDITED),
    (message(ANN, f"yes {CODE}", kind=Kind.SYNC), CARD, Act.SILENT, Why.NO_MESSAGE),
    (message(ANN, "yes", kind=Kind.STORY), CARD, Act.SILENT, Why.NO_MESSAGE),
    (message(ANN, kind=Kind.DELETE), CARD, Act.SILENT, Why.NO_MESSAGE),
    (quoting(US, "yes"), CARD, Act.SILENT, Why.OWN),
    (message(US, "stop"), None, Act.SILENT, Why.OWN),
    (quoting(ANN, "yes", group=GROUP), CARD, Act.CHAT, Why.GROUP),
    (message(ANN, f"yes {CODE}", group=GROUP, **MENTION), None, Act.SILENT, Why.HOLDS_CODE),
    (message(CAT, f"yes {CODE}", group=GROUP, **MENTION), None, Act.SILENT, Why.NOT_LISTED),
    # stop
    (message(ANN, "stop"), None, Act.STOP, Why.OPERATOR),
    (message(BEN, " STOP  All \n"), None, Act.STOP, Why.OPERATOR),
    (message(CAT, "Stop"), None, Act.STOP, Why.OPERATOR),
    (message(ANN, "stop", group="other="), None, Act.STOP, Why.OPERATOR),
    (message(ANN, "\ufffc stop", group=GROUP, **MENTION), None, Act.STOP, Why.OPERATOR),
    (quoting(ANN, "stop"), CARD, Act.STOP, Why.OPERATOR),
    (message(EVE, "stop"), None, Act.PAIR, Why.UNKNOWN),
    (message(ANN, "stop it"), None, Act.CHAT, Why.TALKS),
    (message(ANN, "stop", kind=Kind.EDIT), None, Act.TELL, Why.EDITED),
    (message(ANN, "stop", kind=Kind.SYNC), None, Act.SILENT, Why.NO_MESSAGE),
    # words
    (message(ANN, "hello"), None, Act.CHAT, Why.TALKS),
    (message(CAT, "hello"), None, Act.TELL, Why.ANSWERS_ONLY),
    (message(EVE, "hello"), None, Act.PAIR, Why.UNKNOWN),
    (message(ANN, "  "), None, Act.SILENT, Why.EMPTY),
    (message(ANN, "beginning", cut=True), None, Act.TELL, Why.CUT),
    (message(EVE, "hello", group=GROUP), None, Act.SILENT, Why.NOT_MENTIONED),
    (message(EVE, "hello", group=GROUP, **MENTION), None, Act.CHAT, Why.GROUP),
    (quoting(EVE, "hello", group=GROUP), None, Act.CHAT, Why.GROUP),
    (quoting(EVE, "hello", author=ANN, group=GROUP), None, Act.SILENT, Why.NOT_MENTIONED),
    (message(BEN, "hello", group=GROUP, **MENTION), None, Act.SILENT, Why.NOT_LISTED),
    (message(EVE, "hello", group="other=", **MENTION), None, Act.SILENT, Why.DISABLED),
    (message(EVE, "cut", cut=True, group=GROUP, **MENTION), None, Act.SILENT, Why.CUT),
    (message(EVE, "\ufffc", group=GROUP, **MENTION), None, Act.SILENT, Why.EMPTY),
]  # fmt: skip


@pytest.mark.parametrize(("found", "card", "act", "why"), ROWS)
def test_what_a_message_means(found: Envelope, card: SentCard | None, act: Act, why: Why) -> None:
    meant = means(found, card)
    assert (meant.act, meant.why) == (act, why)
    assert meant.ref == ({Why.BY_CARD: ID, Why.CARD_ELSEWHERE: ID}.get(why, meant.ref))
    assert meant.trusted == (act is Act.CHAT and why is not Why.GROUP)


@pytest.mark.parametrize(
    ("rules", "who", "more", "act", "why"),
    [
        ({"dm_policy": "disabled"}, EVE, {}, Act.SILENT, Why.DISABLED),
        ({"dm_policy": "disabled", "allow_from": (EVE.number,)}, EVE, {"paired": True}, Act.SILENT, Why.DISABLED),
        ({"dm_policy": "allowlist", "allow_from": (CAT.number,)}, EVE, {"paired": True}, Act.SILENT, Why.NOT_LISTED),
        ({"dm_policy": "disabled"}, ANN, {}, Act.CHAT, Why.TALKS),
        ({"dm_policy": "allowlist", "allow_from": ("+491",)}, EVE, {}, Act.SILENT, Why.NOT_LISTED),
        ({"dm_policy": "allowlist", "allow_from": (EVE.number,)}, EVE, {}, Act.CHAT, Why.STRANGER),
        ({"dm_policy": "allowlist", "allow_from": (f"uuid:{EVE.uuid}",)}, EVE, {}, Act.CHAT, Why.STRANGER),
        ({"dm_policy": "pairing", "allow_from": (EVE.number,)}, EVE, {}, Act.CHAT, Why.STRANGER),
        ({"dm_policy": "pairing"}, EVE, {"paired": True}, Act.CHAT, Why.STRANGER),
        ({"dm_policy": "pairing"}, CAT, {"paired": True}, Act.CHAT, Why.STRANGER),
        ({"dm_policy": "open", "allow_from": ("*",)}, EVE, {}, Act.CHAT, Why.STRANGER),
        ({"dm_policy": "odd"}, EVE, {}, Act.SILENT, Why.NOT_LISTED),
    ],
)
def test_who_may_talk(rules: dict[str, Any], who: Person, more: dict[str, Any], act: Act, why: Why) -> None:
    meant = means(message(who, "hello"), None, rules, **more)
    assert (meant.act, meant.why, meant.trusted) == (act, why, who is ANN)


def test_a_bare_yes_while_a_question_waits_is_said_to_be_none() -> None:
    assert means(message(ANN, "Yes"), None, waiting=True).why is Why.BARE
    assert means(message(ANN, "Yes of course"), None, waiting=True).why is Why.TALKS
    assert means(message(BEN, "yes"), None, waiting=True).why is Why.TALKS


def test_attachments_are_counted_and_never_read() -> None:
    assert means(message(ANN, "look", attachments=2)).text == "look\n(2 attachments came with this; not read)"
    assert means(message(ANN, "", attachments=1)).text == "(1 attachment came with this; not read)"
    assert means(message(ANN, "", attachments=1), rules={"attachments": False}).act is Act.SILENT


def test_a_number_of_one_with_the_id_of_another_is_nobody() -> None:
    mixed = Person(BEN.number, ANN.uuid)
    assert person_of(sender(mixed), policy()) == (None, True)
    for text in ("stop", f"yes {CODE}", "hello"):
        assert means(message(mixed, text)).act is Act.SILENT
    assert means(thumbed(mixed, UP)).why is Why.AMBIGUOUS


def test_a_thumb_that_misses_an_open_question_is_said_to_have_missed() -> None:
    assert means(thumbed(ANN, UP), None, waiting=True).act is Act.TELL
    assert means(thumbed(ANN, DOWN), None, waiting=True).act is Act.TELL
    for missed in (
        thumbed(ANN, "\u2764"),
        thumbed(ANN, UP, removed=True),
        thumbed(ANN, UP, author=EVE),
        thumbed(BEN, UP),
    ):
        assert means(missed, None, waiting=True).act is Act.SILENT


def test_a_number_that_was_taken_over_is_nobodys() -> None:
    taken = Person(ANN.number, "0f0e0d0c-0b0a-4908-8706-050403020100")
    assert person_of(sender(taken), policy()) == (None, True)
    assert means(quoting(taken, "yes")).why is Why.AMBIGUOUS
    # Where policy lists a number only, the number is all there is to know somebody by.
    assert means(quoting(Person(BEN.number, taken.uuid), "x")).act is Act.CHAT


def test_people_are_known_by_either_spelling() -> None:
    for shown in (Person(ANN.number, None), Person(None, ANN.uuid), ANN):
        assert means(quoting(shown, "yes")).act is Act.APPROVE
    assert means(quoting(Person(BEN.number, None), "x")).act is Act.CHAT
    assert means(quoting(Person(None, BEN.uuid), "x")).act is Act.PAIR, "policy names his number only"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        (CODE, True), (f"x{CODE}x", True), ("7 k q 2 - m 4 t 1", True), ("7kq2m4tI", True), ("7KQ2\u200bM4T1", True),
        ("\uff17\uff2b\uff31\uff12\uff2d\uff14\uff34\uff11", True), ("7KQ2M4T", False), ("7KQ2M4T2", False),
        ("apr_0123456789abcdef", True), ("APR-0123456789ABCDEF", True), ("apr_0123", False), ("", False),
    ],
)  # fmt: skip
def test_a_code_is_found_however_it_is_written(text: str, holds: bool) -> None:
    assert holds_code(text, {CODE}) is holds
    assert holds_code(text, ()) is ("apr" in text.lower() and holds)


def test_only_thumbs_answer() -> None:
    for emoji in ("", UP * 2, "\U0001f44c", "+1", UP + "\U0001f3fb" * 2, "\u270c", DOWN + "x", "\U0001f3fb"):
        assert thumb(emoji) is None
    assert [thumb(UP + chr(tone)) for tone in range(0x1F3FB, 0x1F400)] == [Act.APPROVE] * 5


PERSONS = st.sampled_from([ANN, BEN, CAT, EVE, US, Person(BEN.number, ANN.uuid), Person(None, CAT.uuid)])
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["yes", "no", "stop", CODE, f"yes {CODE}", f"no {CODE}", f"yes {ID}", "approve", "yes 22222222", "\ufffc"]
    ),
)
ENVELOPES = st.builds(
    lambda who, text, kind, group, quote, reaction, mentions, cut: Envelope(
        "", sender(who), 5, kind, group, text, quote, reaction if kind is Kind.REACTION else None, mentions, 0, cut
    ),
    PERSONS, TEXTS, st.sampled_from(list(Kind)), st.sampled_from(["", GROUP, "other="]),
    st.none() | st.builds(Target, st.just(100), st.none() | PERSONS.map(sender)),
    st.none() | st.builds(Reaction, st.sampled_from([UP, DOWN, "x"]), st.builds(Target, st.just(100), st.none() | PERSONS.map(sender)), st.booleans()),
    st.sampled_from([(), (sender(US),)]), st.booleans(),
)  # fmt: skip
RULES = st.fixed_dictionaries({"dm_policy": st.sampled_from(["pairing", "allowlist", "open", "disabled"]), "allow_from": st.sampled_from([(), ("*",), (EVE.number,)]), "group_policy": st.sampled_from(["open", "allowlist", "disabled"])})  # fmt: skip


@given(ENVELOPES, st.sampled_from([None, CARD, POINTER]), RULES, st.booleans())
def test_law_nothing_decides_without_an_approver_and_a_binding(
    found: Envelope, card: SentCard | None, rules: dict[str, Any], paired: bool
) -> None:
    known = policy(**rules)
    assert known.signal is not None
    meant = understand(found, Known(known.signal, known, card, {CODE}, paired, waiting=True))
    if meant.act in (Act.APPROVE, Act.DENY):
        person, ambiguous = person_of(found.sender, known)
        assert person is not None
        assert not ambiguous
        assert person.approves
        assert meant.person == person.name
        assert not found.group
        if meant.why is Why.BY_CARD:
            target = found.quote or (found.reaction.target if found.reaction else None)
            assert card is not None
            assert meant.ref == card.approval
            assert target is not None
            assert is_us(target.author, known.signal)
            assert card.whole or meant.act is Act.DENY
            assert not (found.reaction and found.reaction.removed)
        else:
            assert meant.ref in found.text.upper().replace("-", "")
    if meant.act is Act.CHAT:
        assert found.kind is Kind.TEXT
        assert not holds_code(meant.text, {CODE})
        assert not meant.trusted or known.people[meant.person].chats
        assert not (meant.trusted and found.group)


@given(ENVELOPES)
def test_law_nobody_decides_where_nobody_is_named(found: Envelope) -> None:
    known = policy(people={"ann": Operator("ann", (), (ANN.number or "",))}, dm_policy="open", allow_from=("*",))
    assert known.signal is not None
    meant = understand(found, Known(known.signal, known, CARD, {CODE}, paired=True))
    assert meant.act not in (Act.APPROVE, Act.DENY, Act.STOP)
    assert not meant.trusted
