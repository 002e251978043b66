"""What may be asked of a token, what it stands for, and that neither ever is more than was said."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import AGENT, NOW
from tests.tokens.opened import ALL, PEOPLE, POLICY, WEB, asking

from bascule.core.errors import Malformed, NotPermitted
from bascule.core.policy import Operator
from bascule.service.port import Principal
from bascule.tokens.token import (
    ALL_SCOPES,
    DAY,
    STRAY_SECONDS,
    Kind,
    Mint,
    Scope,
    Token,
    agent_names,
    beyond,
    looks_like,
    make_id,
    make_secret,
    parse_minting,
    principal_of,
    refusal,
    stands,
)

TOKEN = Token("tok_" + "0" * 16, "phone", ALL_SCOPES, None, None, True, "Maya", NOW, NOW + 30 * DAY)
KEY = f"agent:{AGENT}:phone"


@pytest.mark.parametrize(
    ("minting", "mint"),
    [
        (asking(), Mint("phone", frozenset({Scope.READ}), None, None, False, None, 30 * DAY)),
        (asking(agents="Bruba-Main, bruba-web", days=1), Mint("phone", frozenset({Scope.READ}), frozenset({AGENT, WEB}), None, False, None, DAY)),
        (asking(scopes="chat, read"), Mint("phone", frozenset({Scope.READ, Scope.CHAT}), None, None, False, None, 30 * DAY)),
        (asking(scopes="chat", agents=AGENT, session="Phone"), Mint("phone", frozenset({Scope.CHAT}), frozenset({AGENT}), KEY, False, None, 30 * DAY)),
        (asking(scopes="chat", session=" Phone"), Mint("phone", frozenset({Scope.CHAT}), None, "phone", False, None, 30 * DAY)),
        (asking(scopes=ALL, person="Maya", trusted=True, days=365), Mint("phone", ALL_SCOPES, None, None, True, "Maya", 365 * DAY)),
        (asking(scopes="chat", trusted=True), Mint("phone", frozenset({Scope.CHAT}), None, None, True, None, 30 * DAY)),
        (asking(scopes="chat", person="guest"), Mint("phone", frozenset({Scope.CHAT}), None, None, False, "guest", 30 * DAY)),
        (asking(name="maya", person="Maya"), Mint("maya", frozenset({Scope.READ}), None, None, False, "Maya", 30 * DAY)),
        (asking(name="0._-" + "a" * 60), Mint("0._-" + "a" * 60, frozenset({Scope.READ}), None, None, False, None, 30 * DAY)),
    ],
)  # fmt: skip
def test_what_is_asked_for_in_full_is_read(minting, mint):
    assert parse_minting(minting, POLICY) == mint


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        *(({"name": name}, "token_name") for name in ("", "a b", "Phone", "-rf", ".", "é", "a\n", "a" * 65, "\x1b[31m")),
        *(({"name": name}, "token_name") for name in ("operator", "maya", "guest", "tok_" + "0" * 16, "brw_x")),
        *(({"scopes": scopes}, "token_scopes") for scopes in ("", "all", "*", "read,read", "read;chat", "Read", "read,", "r\u0435ad", "read,approve,chat,admin,read")),
        *(({"agents": agents}, "agent_unknown") for agents in ("", ",", "ghost", f"{AGENT},{AGENT}", f"{AGENT},*", "*,*", "../x", f"{AGENT},")),
        *(({"days": days}, "token_days") for days in (0, -1, 366, True, 10**30)),
        *(({"person": person}, "person_unknown") for person in ("", "maya", "MAYA", "nobody", "Maya\u200b", "\ud800")),
        ({"session": "phone"}, "token_scopes"),
        ({"trusted": True}, "token_scopes"),
        ({"scopes": "approve", "person": "guest"}, "token_scopes"),
        ({"scopes": "admin", "person": "talker"}, "token_scopes"),
        ({"scopes": "chat", "trusted": True, "person": "guest"}, "token_scopes"),
        ({"scopes": "chat", "agents": AGENT, "session": f"agent:{WEB}:main"}, "session_key"),
        ({"scopes": "chat", "session": f"agent:{AGENT}:main"}, "session_key"),
        ({"scopes": "chat", "session": ""}, "session_key"),
        ({"scopes": "chat", "session": "a b"}, "session_key"),
    ],
)  # fmt: skip
def test_what_is_unclear_or_too_much_is_refused(changes, code):
    with pytest.raises(Malformed) as refused:
        parse_minting(replace(asking(), **changes), POLICY)
    assert refused.value.code == code
    assert str(refused.value).isprintable()


SCOPES = st.sets(st.sampled_from(sorted(ALL_SCOPES)), min_size=1).map(lambda found: ",".join(sorted(found)))
ODD = st.one_of(st.text(max_size=12), st.sampled_from([*PEOPLE, "*", AGENT, WEB, ALL, "read", "chat"]))


@given(ODD, ODD, ODD, st.none() | ODD, st.booleans(), st.integers(-2, 400), st.none() | ODD)
def test_parsing_refuses_or_returns_no_more_than_was_written(name, scopes, agents, session, trusted, days, person):
    try:
        mint = parse_minting(replace(asking(), name=name, scopes=scopes, agents=agents, session=session, trusted=trusted, days=days, person=person), POLICY)  # fmt: skip
    except Malformed:
        return
    assert mint.name == name
    assert all(scope in scopes for scope in mint.scopes)
    assert mint.agents is not None or agents.strip(" ") == "*"
    assert mint.trusted is trusted
    assert mint.person == person
    assert mint.seconds == days * DAY


@pytest.mark.parametrize(
    ("changes", "person", "scopes", "trusted"),
    [
        ({}, PEOPLE["Maya"], ALL_SCOPES, True),
        ({}, Operator("Maya", chats=True), ALL_SCOPES - {"approve", "admin"}, True),
        ({}, Operator("Maya", approves=True), ALL_SCOPES, False),
        ({}, Operator("Maya"), ALL_SCOPES - {"approve", "admin"}, False),
        ({"trusted": False}, PEOPLE["Maya"], ALL_SCOPES, False),
        ({"person": None}, None, ALL_SCOPES, True),
    ],
)
def test_a_token_has_no_more_than_its_person_has_today(changes, person, scopes, trusted):
    people = {} if person is None else {"Maya": person}
    operators = tuple(name for name, found in people.items() if found.approves)
    policy = replace(POLICY, people=people, operators=operators)
    found = principal_of(replace(TOKEN, **changes), policy, NOW)
    assert (found.scopes, found.trusted, found.token, found.name) == (scopes, trusted, TOKEN.id, "phone")


@pytest.mark.parametrize(
    ("changes", "now", "state"),
    [
        ({}, NOW + 30 * DAY, "expired"),
        ({}, NOW + 40 * DAY, "expired"),
        ({"revoked": NOW}, NOW, "revoked"),
        ({"revoked": NOW}, NOW + 40 * DAY, "revoked"),
        ({"person": "nobody"}, NOW, "active"),
        ({"person": "guest", "scopes": frozenset({Scope.APPROVE})}, NOW, "active"),
        ({}, NOW - STRAY_SECONDS - 1, "active"),
        ({"last_used": NOW + 9 * DAY}, NOW + 8 * DAY, "active"),
    ],
)
def test_a_token_that_ended_stands_for_nobody(changes, now, state):
    token = replace(TOKEN, **changes)
    assert token.state(now) == state
    with pytest.raises(NotPermitted) as refused:
        principal_of(token, POLICY, now)
    assert refused.value.code == "token_refused"
    assert str(refused.value) == str(refusal(Kind.TOKEN))


def test_a_clock_corrected_by_little_turns_nobody_away():
    used = replace(TOKEN, last_used=NOW + 60)
    assert principal_of(used, POLICY, NOW).name == "phone"
    assert stands(NOW, NOW, NOW + 1)
    assert not stands(NOW + 1, NOW, NOW + 1)


MAKER = Principal("m", "tok_m", None, frozenset({"read", "chat", "admin"}), frozenset({AGENT}), None)
SMALL = Mint("x", frozenset({Scope.READ}), frozenset({AGENT}), None, False, None, DAY)


@pytest.mark.parametrize(
    ("mint", "maker", "excess"),
    [
        ({}, {}, ""),
        ({"scopes": frozenset({Scope.READ, Scope.CHAT, Scope.ADMIN})}, {}, ""),
        ({"scopes": frozenset({Scope.APPROVE})}, {}, "scopes"),
        ({"agents": None}, {}, "agents"),
        ({"agents": frozenset({AGENT, WEB})}, {}, "agents"),
        ({"agents": None}, {"agents": None}, ""),
        ({"trusted": True}, {}, "trust"),
        ({"trusted": True}, {"trusted": True}, ""),
        ({"scopes": frozenset({Scope.CHAT}), "session": KEY}, {}, "session"),
        ({"scopes": frozenset({Scope.CHAT}), "session": KEY}, {"session": KEY}, ""),
        ({"scopes": frozenset({Scope.CHAT})}, {"session": KEY}, "session"),
        ({"scopes": frozenset({Scope.CHAT}), "session": KEY}, {"token": ""}, ""),
        ({"person": "Maya"}, {}, ""),
        ({"person": None}, {"person": "Maya"}, "person"),
        ({"person": "guest"}, {"person": "Maya"}, "person"),
        ({"person": "Maya"}, {"person": "Maya"}, ""),
        ({"seconds": DAY + 1}, {}, "days"),
    ],
)
def test_a_token_makes_none_that_has_more(mint, maker, excess):
    assert beyond(replace(SMALL, **mint), replace(MAKER, **maker), DAY) == excess


@given(SCOPES, SCOPES, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 9), st.integers(1, 9))
def test_whoever_makes_tokens_of_tokens_gains_nothing(has, wants, all_, every, trusted, trusting, days, left):
    maker = Principal(
        "m", "tok_m", None, frozenset(has.split(",")), None if all_ else frozenset({AGENT}), None, trusted
    )
    mint = parse_minting(asking("x", wants, "*" if every else AGENT, trusted=trusting and "chat" in wants, days=days), POLICY)  # fmt: skip
    if beyond(mint, maker, left * DAY):
        return
    assert mint.scopes <= maker.scopes
    assert maker.agents is None or (mint.agents is not None and mint.agents <= maker.agents)
    assert trusted or not mint.trusted
    assert days <= left


@given(st.binary(min_size=32, max_size=32), st.sampled_from(Kind))
def test_a_secret_holds_all_its_bits_and_opens_one_kind_of_door(entropy, kind):
    secret = make_secret(kind, entropy)
    assert len(secret) == 47
    assert re.fullmatch(r"bs[cls]_[\w-]{43}", secret, re.ASCII)
    assert [other for other in Kind if looks_like(secret, other)] == [kind]


@pytest.mark.parametrize("entropy", [b"", b"x" * 31, b"x" * 33])
def test_too_little_chance_makes_no_secret(entropy):
    with pytest.raises(ValueError, match="32 random bytes"):
        make_secret(Kind.TOKEN, entropy)


@pytest.mark.parametrize(("prefix", "entropy"), [("tok", b"x" * 7), ("brw", b""), ("apr", b"x" * 8), ("", b"x" * 8)])
def test_an_id_has_one_shape(prefix, entropy):
    with pytest.raises(ValueError, match="8 random bytes"):
        make_id(prefix, entropy)


@pytest.mark.parametrize(
    "text", ["", "bsc_", "bsc_" + "a" * 42, "bsc_" + "a" * 44, "BSC_" + "a" * 43, "bsc_" + "a" * 42 + "\n", "bsc_" + "é" * 43, " bsc_" + "a" * 43, "x" * 10_000]
)  # fmt: skip
def test_what_has_not_the_shape_of_a_secret_is_not_one(text):
    assert not looks_like(text, Kind.TOKEN)


def test_every_agent_is_said_so():
    assert agent_names(None) == ["*"]
    assert agent_names(frozenset({WEB, AGENT})) == [AGENT, WEB]


def test_a_record_says_everything_a_token_may_do_and_no_secret():
    body = parse_minting(asking(scopes=ALL, person="Maya", trusted=True, session="phone"), POLICY).body()
    assert set(body) == {field.name for field in fields(Mint)} - {"seconds", "session"} | {"days", "speaks_in"}
