"""Events of signal-cli: what is read of each shape, what is refused, and that nothing else is ever raised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.channels.signal.envelope import MAX_EVENT, Kind, is_account, is_us, parse_event
from bascule.core.errors import Malformed
from bascule.core.surfaces import SignalPolicy
from bascule.policy.senders import Sender

AT = 1_700_000_000_000
UUID = "00000000-0000-4000-8000-00000000000a"
SENDER = {
    "source": "+491521",
    "sourceNumber": "+491521",
    "sourceUuid": UUID.upper(),
    "sourceName": "Ann",
    "sourceDevice": 1,
}
DATA = {"timestamp": AT, "message": "hello", "expiresInSeconds": 0, "viewOnce": False}
QUOTE = {"id": 5, "author": "+491520", "authorNumber": "+491520", "authorUuid": None, "text": "q", "attachments": []}
REACTION = {"emoji": "\U0001f44d", "targetAuthor": "+491520", "targetAuthorNumber": "+491520", "targetAuthorUuid": UUID,
            "targetSentTimestamp": 7, "isRemove": False}  # fmt: skip
GROUP = {"groupId": "Pmpi+EfPWmsxiomLe9Nx2XF9HOE483p6iKiFj65iMwI=", "groupName": "G", "revision": 2, "type": "DELIVER"}


def event(data: Any = None, outer: Any = None, **envelope: Any) -> str:
    content = {} if data is None else {"dataMessage": DATA | data}
    return json.dumps(
        {"envelope": SENDER | {"timestamp": AT} | content | envelope, "account": "+491520"} | (outer or {})
    )


def test_a_message_is_read_whole() -> None:
    found = parse_event(
        event(
            {
                "quote": QUOTE,
                "groupInfo": GROUP,
                "mentions": [{"name": "+491520", "number": "+491520", "uuid": None, "start": 0, "length": 1}],
                "attachments": [{"contentType": "image/png", "size": 1}],
            }
        )
    )
    assert (found.kind, found.text, found.at, found.account) == (Kind.TEXT, "hello", AT, "+491520")
    assert found.sender == Sender("+491521", UUID)
    assert found.group == GROUP["groupId"]
    assert found.quote is not None
    assert (found.quote.at, found.quote.author) == (5, Sender("+491520"))
    assert found.mentions == (Sender("+491520"),)
    assert (found.attachments, found.cut) == (1, False)
    assert found.key == f"{UUID} {AT} text"


@pytest.mark.parametrize(
    ("data", "envelope", "kind"),
    [
        ({"reaction": REACTION}, {}, Kind.REACTION),
        ({"remoteDelete": {"timestamp": 3}}, {}, Kind.DELETE),
        ({"adminDelete": {"targetSentTimestamp": 3}}, {}, Kind.DELETE),
        ({"storyContext": {"authorNumber": "+491", "sentTimestamp": 1}}, {}, Kind.STORY),
        ({"groupInfo": GROUP | {"type": "UPDATE"}}, {}, Kind.OTHER),
        (None, {"editMessage": {"targetSentTimestamp": 3, "dataMessage": DATA}}, Kind.EDIT),
        (None, {"syncMessage": {"sentMessage": {"destination": "+49", **DATA}}}, Kind.SYNC),
        (None, {"storyMessage": {"allowsReplies": True}}, Kind.STORY),
        (None, {"receiptMessage": {"when": 1, "isDelivery": True}}, Kind.OTHER),
        (None, {"typingMessage": {"action": "STARTED"}}, Kind.OTHER),
        (None, {"callMessage": {}}, Kind.OTHER),
        (None, {}, Kind.OTHER),
        ({"message": None, "isExpirationUpdate": True}, {}, Kind.TEXT),
    ],
)
def test_what_kind_of_event_it_is(data: Any, envelope: dict[str, Any], kind: Kind) -> None:
    found = parse_event(event(data, **envelope))
    assert found.kind is kind
    assert found.text == "" or kind is Kind.TEXT


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "1", "{", "nope", '"x"', "[" * 100_000, '{"envelope": null}', '{"envelope": []}',
        event({}, sourceNumber=None, sourceUuid=None), event({}, sourceNumber="me", sourceUuid="you"),
        event({}, sourceNumber=5), event({}, timestamp=AT + 1), event({}, timestamp="x"), event({}, timestamp=True),
        event({}, timestamp=-1), event({"timestamp": 2**60}, timestamp=2**60), event({"timestamp": 1.5}, timestamp=1.5),
        event({"message": 5}), event({"message": "x" * 70_000}), event({"message": "\ud800"}),
        event({"quote": "x"}), event({"quote": {"id": "5"}}), event({"quote": {"id": 5, "authorNumber": 5}}),
        event({"reaction": REACTION | {"isRemove": "no"}}), event({"reaction": REACTION | {"targetSentTimestamp": None}}),
        event({"reaction": REACTION | {"emoji": 7}}), event({"reaction": []}), event({"mentions": {}}),
        event({"mentions": ["x"]}), event({"attachments": "x"}), event({"mentions": [{}] * 1001}),
        event({"groupInfo": {}}), event({"groupInfo": {"groupId": "a b"}}), event({"groupInfo": {"groupId": 5}}),
        event({}, syncMessage={}), event({}, editMessage={"targetSentTimestamp": 1}), event({}, dataMessage="x"),
        event({}, outer={"exception": {"type": "UntrustedIdentityException"}}),
        event({}).replace('"timestamp"', '"timestamp": 1, "timestamp"', 1), event({"x": float("nan")}),
        "{" + " " * MAX_EVENT + "}",
    ],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_event(text)
    assert refused.value.code == "signal_event"
    assert "\n" not in refused.value.message
    assert len(refused.value.message) < 200


def test_a_cut_text_is_known_and_a_whole_long_one_is_not_cut() -> None:
    rest = [{"contentType": "text/x-signal-plain", "size": 9000}]
    assert parse_event(event({"message": "x" * 2000, "attachments": rest})).cut
    assert not parse_event(event({"message": "x" * 9000, "attachments": rest})).cut


@pytest.mark.parametrize(
    ("number", "uuid", "known", "us"),
    [
        ("+491520", "", "", True), ("+491520", UUID, UUID, True), ("", UUID, UUID, True), ("", UUID, "", False),
        ("+491521", "", "", False), ("+491521", UUID, UUID, False), ("+491520", UUID, UUID[:-1] + "b", False),
        ("+491520", UUID, "", True),
    ],
)  # fmt: skip
def test_who_is_us(number: str, uuid: str, known: str, us: bool) -> None:
    assert is_us(Sender(number, uuid), SignalPolicy("+491520", known)) is us
    assert not is_us(None, SignalPolicy("+491520", known))


@pytest.mark.parametrize(
    ("spelled", "ours"), [("", True), ("+491520", True), (UUID.upper(), True), ("+491529", False), ("x", False)]
)
def test_whose_event_it_is(spelled: str, ours: bool) -> None:
    assert is_account(spelled, SignalPolicy("+491520", UUID)) is ours


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["+491521", UUID]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted({*DATA, *QUOTE, *REACTION, *GROUP, *SENDER, "quote", "reaction", "groupInfo", "mentions", "attachments", "editMessage"})), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(JSON, JSON)
def test_law_nothing_but_malformed_is_raised(data: Any, envelope: Any) -> None:
    outer = SENDER | {"timestamp": AT, "dataMessage": (DATA | data) if isinstance(data, dict) else data}
    text = json.dumps({"envelope": outer | (envelope if isinstance(envelope, dict) else {})})
    try:
        found = parse_event(text)
    except Malformed:
        return
    assert found.sender.number or found.sender.uuid
    assert found.at > 0


@given(st.text())
def test_law_no_text_crashes_the_parser(text: str) -> None:
    with pytest.raises(Malformed):
        parse_event(text)
