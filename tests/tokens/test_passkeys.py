"""A passkey is somebody's who was just let in, and stands behind one yes, in one browser, once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import asdict, replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.builders import NOW
from tests.tokens.authenticator import Authenticator, bytes_of
from tests.tokens.opened import ALL, Opened

from bascule.core.canonical import canonical
from bascule.core.errors import BasculeError, Malformed, NotPermitted, Unavailable
from bascule.service.passkeys import Passkeys, RelyingParty, Yes
from bascule.service.port import Principal, Wider
from bascule.service.shapes import PasskeyRow
from bascule.tokens.doors import MACHINE_OPERATOR
from bascule.tokens.passkeys import CEREMONY_SECONDS, FRESH_SECONDS, MOST_PASSKEYS

SITE = RelyingParty("localhost", "http://localhost:18789")
OTHER_SITE = RelyingParty("bots.example.org", "https://bots.example.org")
YES = Yes("apr_" + "0" * 16, "d" * 64)
TERMS = Wider("similar", False, 30, 5, None, None)


class Ring(Opened):
    """Doors with passkeys, where policy wants one for what is risky."""

    def __init__(self, state, **more) -> None:
        super().__init__(state, **more)
        self.policy = replace(self.policy, passkey="risky")

    def visitor(self, **asked) -> Principal:
        """Whoever came by a link, or by the token asked for."""
        secret = asyncio.run(self.linked()) if not asked else None
        if secret is None:
            secret = asyncio.run(self.doors.sign_in(asyncio.run(self.made(**asked))[1]))
        return asyncio.run(self.doors.recognise(secret))

    def register(self, who: Principal, key: Authenticator, site=SITE, name="laptop") -> PasskeyRow:
        options = asyncio.run(self.ring.begin_registration(who, site))
        answer = key.create(options)
        return asyncio.run(self.ring.finish_registration(who, site, name=name, untrusted_response=answer))

    def proves(self, who: Principal, key: Authenticator, yes=YES, site=SITE) -> None:
        answer = key.get(asyncio.run(self.ring.begin_approval(who, site, yes)))
        asyncio.run(self.ring.finish_approval(who, site, yes, untrusted_response=answer))

    def code(self, attempt, *args, **more) -> str:
        """The code of the refusal, or ``ok``."""
        try:
            attempt(*args, **more)
        except BasculeError as refused:
            return refused.code
        return "ok"

    def spent(self, who: Principal | None, yes=YES, action="external") -> str:
        return self.code(self.ring.spend, who, yes, action=action)


@pytest.fixture
def home(tmp_path):
    with Ring(tmp_path) as ring:
        yield ring


def test_passkeys_are_what_pages_expect(home):
    ring: Passkeys = home.ring
    who = home.visitor()
    wanted = [ring.needed(who, action=action, wider=wider) for action, wider in (("read", False), ("read", True), ("web", False))]  # fmt: skip
    assert wanted == [False, True, True]


def test_one_touch_one_yes(home):
    who, key = home.visitor(), Authenticator(SITE)
    assert home.spent(who) == "passkey_needed"
    home.register(who, key)
    home.proves(who, key)
    assert [home.spent(who), home.spent(who)] == ["ok", "passkey_needed"]


@pytest.mark.parametrize(
    ("word", "action", "wider", "needed"),
    [
        ("off", "admin", TERMS, False),
        ("risky", "read", None, False),
        ("risky", "compute", None, False),
        ("risky", "read", TERMS, True),
        ("risky", "write", None, True),
        ("risky", "", None, True),
        ("always", "read", None, True),
    ],
)
def test_policy_says_which_yes_needs_one(home, word, action, wider, needed):
    home.policy = replace(home.policy, passkey=word)
    who = home.visitor()
    assert home.spent(who, replace(YES, wider=wider), action) == ("passkey_needed" if needed else "ok")
    assert home.spent(None, replace(YES, wider=wider), action) == "ok"


@pytest.mark.parametrize(
    "other",
    [
        replace(YES, approval="apr_" + "1" * 16),
        replace(YES, digest="e" * 64),
        replace(YES, wider=TERMS),
        replace(YES, wider=replace(TERMS, minutes=31)),
        replace(YES, wider=replace(TERMS, uses=None)),
        replace(YES, wider=replace(TERMS, this_session=True)),
    ],
)
def test_a_proof_is_good_for_what_was_shown_alone(home, other):
    who, key = home.visitor(), Authenticator(SITE)
    home.register(who, key)
    given = YES if other.wider in {None, TERMS} else replace(YES, wider=TERMS)
    home.proves(who, key, given)
    assert home.spent(who, other) == "passkey_needed"
    assert home.spent(who, given) == "ok"


def test_a_signature_for_one_question_answers_no_other(home):
    who, key = home.visitor(), Authenticator(SITE)
    home.register(who, key)
    other = replace(YES, approval="apr_" + "1" * 16)
    answer = key.get(asyncio.run(home.ring.begin_approval(who, SITE, YES)))
    asyncio.run(home.ring.begin_approval(who, SITE, other))
    for yes, code in ((other, "passkey_refused"), (other, "passkey_refused"), (YES, "ok"), (YES, "passkey_refused")):
        finish = home.ring.finish_approval(who, SITE, yes, untrusted_response=answer)
        assert home.code(asyncio.run, finish) == code
    assert (home.spent(who, other), home.spent(who)) == ("passkey_needed", "ok")


def test_a_proof_is_good_in_the_browser_that_asked_alone(home):
    who, other, key = home.visitor(), home.visitor(), Authenticator(SITE)
    bearer = replace(who, browser="")
    home.register(who, key)
    answer = key.get(asyncio.run(home.ring.begin_approval(who, SITE, YES)))
    elsewhere = home.ring.finish_approval(other, SITE, YES, untrusted_response=answer)
    assert home.code(asyncio.run, elsewhere) == "passkey_refused"
    asyncio.run(home.ring.finish_approval(who, SITE, YES, untrusted_response=answer))
    assert [home.spent(one) for one in (other, bearer, who)] == ["passkey_needed", "passkey_needed", "ok"]


@pytest.mark.parametrize(("passed", "good"), [(CEREMONY_SECONDS - 1, True), (CEREMONY_SECONDS, False), (-3600, False)])
def test_two_minutes_for_the_touch_and_two_for_the_yes(home, passed, good):
    who, key = home.visitor(), Authenticator(SITE)
    home.register(who, key)
    home.proves(who, key)
    options = asyncio.run(home.ring.begin_approval(who, SITE, replace(YES, wider=TERMS)))
    home.time.at += passed
    assert home.spent(who) == ("ok" if good else "passkey_needed")
    late = home.ring.finish_approval(who, SITE, replace(YES, wider=TERMS), untrusted_response=key.get(options))
    assert home.code(asyncio.run, late) == ("ok" if good else "passkey_refused")


def test_a_restart_ends_what_was_begun_and_keeps_the_keys(tmp_path):
    key = Authenticator(SITE)
    with Ring(tmp_path) as home:
        who = home.visitor()
        row = home.register(who, key)
        home.proves(who, key)
        answer = key.get(asyncio.run(home.ring.begin_approval(who, SITE, YES)))
    with Ring(tmp_path) as after:
        assert after.spent(who) == "passkey_needed"
        late = after.ring.finish_approval(who, SITE, YES, untrusted_response=answer)
        assert after.code(asyncio.run, late) == "passkey_refused"
        assert [found["id"] for found in asyncio.run(after.ring.passkeys_list(who))] == [row["id"]]
        after.proves(who, key)
        assert after.spent(who) == "ok"


def test_a_copied_key_is_noticed(home):
    who, key = home.visitor(), Authenticator(SITE)
    home.register(who, key)
    copy = Authenticator(SITE)
    copy.key, copy.count = key.key, key.count
    home.proves(who, key)
    assert home.code(home.proves, who, copy) == "passkey_refused"
    home.proves(who, key)


def test_another_s_key_answers_nothing(home):
    who, maya = home.visitor(), home.visitor(name="maya", scopes=ALL, person="Maya")
    mine, hers = Authenticator(SITE), Authenticator(SITE, b"d" * 32)
    home.register(who, mine)
    home.register(maya, hers)
    assert home.code(home.proves, who, hers) == "passkey_refused"
    assert home.code(home.proves, maya, mine) == "passkey_refused"
    home.proves(maya, hers)
    assert [home.spent(who), home.spent(maya)] == ["passkey_needed", "ok"]


def test_a_key_of_one_site_is_no_key_of_another(home):
    who, key = home.visitor(), Authenticator(SITE)
    home.register(who, key)
    assert home.code(home.proves, who, key, site=OTHER_SITE) == "passkey_missing"
    home.register(who, Authenticator(OTHER_SITE, b"o" * 32), OTHER_SITE)
    assert home.code(home.proves, who, key, site=OTHER_SITE) == "passkey_refused"


FRESH = [
    ({}, 0, True),
    ({}, FRESH_SECONDS - 1, True),
    ({}, FRESH_SECONDS, False),
    ({"scopes": ALL, "person": "Maya"}, 0, True),
    ({"scopes": ALL, "person": "Maya"}, FRESH_SECONDS, False),
    ({"scopes": ALL, "person": "Maya", "rooted": False}, 0, False),
    ({"scopes": ALL}, 0, False),
]


@pytest.mark.parametrize(("asked", "passed", "good"), FRESH)
def test_only_who_was_just_let_in_by_the_shell_registers(home, asked, passed, good):
    who = home.visitor(**asked)
    options = asyncio.run(home.ring.begin_registration(who, SITE)) if good or passed else None
    home.time.at += passed
    assert home.code(asyncio.run, home.ring.begin_registration(who, SITE)) == ("ok" if good else "passkey_stale")
    if options is not None and not good:
        answer = Authenticator(SITE).create(options)
        late = home.ring.finish_registration(who, SITE, name="x", untrusted_response=answer)
        assert home.code(asyncio.run, late) == "passkey_stale"
    assert home.database.read("SELECT count(*) FROM tokens_passkeys") == [(0,)]


def test_a_person_s_token_registers_their_first_and_no_second(home):
    maya = home.visitor(name="maya", scopes=ALL, person="Maya")
    begun = asyncio.run(home.ring.begin_registration(maya, SITE))
    again = home.visitor(name="other", scopes=ALL, person="Maya")
    home.register(again, Authenticator(SITE))
    assert home.code(asyncio.run, home.ring.begin_registration(maya, SITE)) == "passkey_stale"
    answer = Authenticator(SITE, b"d" * 32).create(begun)
    late = home.ring.finish_registration(maya, SITE, name="x", untrusted_response=answer)
    assert home.code(asyncio.run, late) == "passkey_stale"
    home.register(home.visitor(), Authenticator(SITE, b"e" * 32))
    home.register(home.visitor(), Authenticator(SITE, b"f" * 32))
    assert len(asyncio.run(home.ring.passkeys_list(maya))) == 1


@pytest.mark.parametrize(
    "who",
    [
        replace(MACHINE_OPERATOR, browser=""),
        replace(MACHINE_OPERATOR, browser="brw_0", scopes=frozenset({"read", "chat", "admin"})),
    ],
)
def test_passkeys_are_for_browsers_that_may_approve(home, who):
    for attempt in (
        home.ring.begin_registration(who, SITE),
        home.ring.finish_registration(who, SITE, name="x", untrusted_response="{}"),
        home.ring.begin_approval(who, SITE, YES),
        home.ring.finish_approval(who, SITE, YES, untrusted_response="{}"),
        home.ring.passkeys_list(who),
        home.ring.passkeys_remove(who, passkey="pky_0"),
    ):
        assert home.code(asyncio.run, attempt) == "passkey_browser"


def test_a_browser_that_is_not_in_registers_nothing(home):
    ghost = replace(MACHINE_OPERATOR, browser="brw_" + "0" * 16)
    assert home.code(asyncio.run, home.ring.begin_registration(ghost, SITE)) == "passkey_stale"


def test_a_challenge_is_answered_once_and_a_credential_kept_once(home):
    who, key = home.visitor(), Authenticator(SITE)
    answer = key.create(asyncio.run(home.ring.begin_registration(who, SITE)))
    codes = []
    for _ in range(2):
        finish = home.ring.finish_registration(who, SITE, name="x", untrusted_response=answer)
        codes.append(home.code(asyncio.run, finish))
    assert codes == ["ok", "passkey_refused"]
    assert home.code(home.register, who, key) == "passkey_refused"
    options = asyncio.run(home.ring.begin_registration(who, SITE))
    assert [bytes_of(one["id"]) for one in options["excludeCredentials"]] == [key.credential]


@pytest.mark.parametrize("name", ["", " x", "a" * 65, "a\n", "<b>", "\x1b[m", "a\u202eb", "_"])
def test_a_name_that_is_none_costs_no_challenge(home, name):
    who, key = home.visitor(), Authenticator(SITE)
    answer = key.create(asyncio.run(home.ring.begin_registration(who, SITE)))
    with pytest.raises(Malformed):
        asyncio.run(home.ring.finish_registration(who, SITE, name=name, untrusted_response=answer))
    row = asyncio.run(home.ring.finish_registration(who, SITE, name="Maya's Schlüssel", untrusted_response=answer))
    assert (row["name"], row["site"], row["person"], row["last_used"]) == ("Maya's Schlüssel", "localhost", "", "")


def test_an_address_has_no_passkeys(home):
    address = RelyingParty("127.0.0.1", "http://127.0.0.1:18789")
    for attempt in (home.ring.begin_registration, lambda who, site: home.ring.begin_approval(who, site, YES)):
        assert home.code(asyncio.run, attempt(home.visitor(), address)) == "passkey_host"


def test_there_is_room_for_so_many(home):
    who = home.visitor()
    for number in range(MOST_PASSKEYS):
        home.register(who, Authenticator(SITE, bytes([number]) * 32))
    with pytest.raises(Unavailable) as refused:
        asyncio.run(home.ring.begin_registration(who, SITE))
    assert refused.value.code == "passkeys_full"


def test_one_browser_s_challenges_do_not_fill_the_memory(home):
    who, other, key = home.visitor(), home.visitor(), Authenticator(SITE)
    home.register(who, key)
    kept = key.get(asyncio.run(home.ring.begin_approval(other, SITE, YES)))
    for number in range(5 * MOST_PASSKEYS):
        home.proves(who, key, replace(YES, digest=str(number)))
        asyncio.run(home.ring.begin_approval(who, SITE, replace(YES, digest=str(number))))
    assert len(home.ring._open) + len(home.ring._proved) == 2 * MOST_PASSKEYS + 1
    assert home.spent(who, replace(YES, digest="0")) == "passkey_needed"
    assert home.code(asyncio.run, home.ring.finish_approval(other, SITE, YES, untrusted_response=kept)) == "passkey_refused"  # fmt: skip
    assert home.spent(who, replace(YES, digest="79")) == "ok"


def test_everyone_sees_and_removes_their_own_and_the_operator_all(home):
    who, maya = home.visitor(), home.visitor(name="maya", scopes="approve,read", person="Maya")
    mine, hers = home.register(who, Authenticator(SITE)), home.register(maya, Authenticator(SITE, b"d" * 32))
    assert set(mine) == set(PasskeyRow.__annotations__)
    assert [row["id"] for row in asyncio.run(home.ring.passkeys_list(maya))] == [hers["id"]]
    assert [row["id"] for row in asyncio.run(home.ring.passkeys_list(who))] == [mine["id"], hers["id"]]
    for unknown in (mine["id"], "pky_0", "", "\ud800", "' OR 1"):
        with pytest.raises(Malformed):
            asyncio.run(home.ring.passkeys_remove(maya, passkey=unknown))
    assert asyncio.run(home.ring.passkeys_remove(who, passkey=hers["id"])) == hers
    assert home.code(asyncio.run, home.ring.begin_approval(maya, SITE, YES)) == "passkey_missing"


def test_what_was_signed_can_be_checked_from_the_record_alone(home):
    who, key = home.visitor(), Authenticator(SITE)
    home.register(who, key)
    yes = replace(YES, wider=TERMS)
    home.proves(who, key, yes)
    [made], [used] = (home.ledger.tail(9, kind=kind) for kind in ("passkey_made", "passkey_used"))
    body = json.loads(used.body)
    client = bytes_of(body["client_data"])
    purpose = canonical({"approval": body["approval"], "digest": used.digest, "wider": body["wider"]})
    asked = hashlib.sha256(bytes_of(body["nonce"]) + purpose).digest()
    assert bytes_of(json.loads(client)["challenge"]) == asked
    assert (used.digest, body["wider"], body["person"], body["browser"]) == (YES.digest, asdict(TERMS), "", who.browser)
    signed = bytes_of(body["authenticator_data"]) + hashlib.sha256(client).digest()
    key.key.public_key().verify(bytes_of(body["signature"]), signed, ec.ECDSA(hashes.SHA256()))
    numbers = key.key.public_key().public_numbers()
    assert numbers.x.to_bytes(32, "big") in bytes_of(json.loads(made.body)["public_key"])
    assert home.verified().ok


def test_what_cannot_be_recorded_proves_nothing(home):
    class Full:
        def record(self, change, kind, body):
            raise Unavailable("disk_full", "no space is left")

    who, key = home.visitor(), Authenticator(SITE)
    home.register(who, key)
    home.ring._journal = Full()
    assert home.code(home.proves, who, key) == "disk_full"
    assert home.spent(who) == "passkey_needed"
    assert home.code(home.register, who, Authenticator(SITE, b"d" * 32)) == "disk_full"
    assert len(asyncio.run(home.ring.passkeys_list(who))) == 1


def test_two_who_race_with_one_signature_prove_once(home):
    who, key = home.visitor(), Authenticator(SITE)
    home.register(who, key)
    answer = key.get(asyncio.run(home.ring.begin_approval(who, SITE, YES)))

    async def race() -> list:
        tries = [home.ring.finish_approval(who, SITE, YES, untrusted_response=answer) for _ in range(10)]
        return await asyncio.gather(*tries, return_exceptions=True)

    said = asyncio.run(race())
    assert [found is None for found in said].count(True) == 1
    assert all(isinstance(found, NotPermitted) for found in said if found is not None)
    assert [home.spent(who), home.spent(who)] == ["ok", "passkey_needed"]
    assert home.time.at == NOW
