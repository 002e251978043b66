"""What a browser returns is believed only if every part of it is what was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.house.reading import SRC
from tests.tokens.authenticator import PRESENT, VERIFIED, Authenticator, bytes_of, text_of

from bascule.core.errors import NotPermitted, Unavailable
from bascule.service.passkeys import RelyingParty
from bascule.tokens.ceremony import (
    MAX_RESPONSE,
    Key,
    check_creation,
    check_party,
    check_request,
    creation_options,
    credential_of,
    request_options,
)

SITE = RelyingParty("localhost", "http://localhost:18789")
CHALLENGE = bytes(range(32))
CREATION = creation_options(SITE, CHALLENGE, (b"h" * 32, "operator"), [b"known"])
REQUEST = request_options(SITE, CHALLENGE, [b"c" * 32])


def made(authenticator: Authenticator) -> Key:
    return check_creation(SITE, CHALLENGE, authenticator.create(CREATION))


def refused(attempt) -> bool:
    """True if it is refused, in words that say nothing of why."""
    with pytest.raises(NotPermitted) as caught:
        attempt()
    return (caught.value.code, caught.value.__cause__) == ("passkey_refused", None)


def test_a_key_is_made_and_signs():
    authenticator = Authenticator(SITE)
    key = made(authenticator)
    assert (key.credential, key.count) == (authenticator.credential, 1)
    answer = authenticator.get(REQUEST)
    signed = check_request(SITE, CHALLENGE, key, answer)
    assert (credential_of(answer), signed.count) == (key.credential, 2)
    said = json.loads(bytes_of(signed.client_data))
    assert (said["challenge"], said["origin"]) == (text_of(CHALLENGE), SITE.origin)


def test_the_person_is_asked_for_and_their_device_is_not_named():
    assert CREATION["authenticatorSelection"]["userVerification"] == REQUEST["userVerification"] == "required"
    assert CREATION["attestation"] == "none"
    assert [bytes_of(one["id"]) for one in CREATION["excludeCredentials"]] == [b"known"]
    assert [bytes_of(one["id"]) for one in REQUEST["allowCredentials"]] == [b"c" * 32]
    assert (CREATION["rp"]["id"], REQUEST["rpId"]) == (SITE.id, SITE.id)
    assert json.loads(json.dumps([CREATION, REQUEST])) == [CREATION, REQUEST]


LIES = [
    {"origin": "http://localhost"},
    {"origin": "https://localhost:18789"},
    {"origin": "http://localhost:18789.example"},
    {"origin": "null"},
    {"site": RelyingParty("example.org", SITE.origin)},
    {"flags": PRESENT},
    {"flags": VERIFIED},
    {"flags": 0},
    {"client": {"type": "webauthn.else"}},
    {"client": {"challenge": text_of(bytes(32))}},
    {"client": {"challenge": ""}},
    {"client": {"crossOrigin": True}},
    {"client": {"crossOrigin": "false"}},
    {"client": {"topOrigin": "http://evil.example"}},
]


def lying(lie: dict) -> Authenticator:
    authenticator = Authenticator(SITE)
    for name, value in lie.items():
        setattr(authenticator, name, value)
    if "site" in lie:
        authenticator.origin = SITE.origin
    return authenticator


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_key_from_elsewhere_is_not_kept(lie):
    authenticator = lying(lie)
    assert refused(lambda: made(authenticator))


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_signature_from_elsewhere_is_no_proof(lie):
    authenticator = Authenticator(SITE)
    key = made(authenticator)
    liar = lying(lie)
    liar.key, liar.count = authenticator.key, 5
    assert refused(lambda: check_request(SITE, CHALLENGE, key, liar.get(REQUEST)))


def test_a_made_key_is_no_signature_and_the_other_way_round():
    authenticator = Authenticator(SITE)
    key = made(authenticator)
    assert refused(lambda: check_request(SITE, CHALLENGE, key, authenticator.create(CREATION)))
    assert refused(lambda: check_creation(SITE, CHALLENGE, authenticator.get(REQUEST)))


def test_another_key_and_another_credential_sign_nothing():
    authenticator = Authenticator(SITE)
    key = made(authenticator)
    other = Authenticator(SITE)
    other.count = 5
    assert refused(lambda: check_request(SITE, CHALLENGE, key, other.get(REQUEST)))
    renamed = Authenticator(SITE, b"d" * 32)
    renamed.key, renamed.count = authenticator.key, 5
    assert refused(lambda: check_request(SITE, CHALLENGE, key, renamed.get(REQUEST)))


@pytest.mark.parametrize(("kept", "said", "good"), [(5, 6, True), (5, 5, False), (5, 4, False), (5, 0, False), (0, 0, True), (0, 9, True)])  # fmt: skip
def test_a_key_that_counts_backwards_is_a_copy(kept, said, good):
    authenticator = Authenticator(SITE)
    key = replace(made(authenticator), count=kept)
    authenticator.count = said - 1
    answer = authenticator.get(REQUEST)
    if good:
        assert check_request(SITE, CHALLENGE, key, answer).count == said
    else:
        assert refused(lambda: check_request(SITE, CHALLENGE, key, answer))


@pytest.mark.parametrize("form", ["fido-u2f", "tpm", "apple", "android-key", "android-safetynet", "", "made-up"])
def test_a_certificate_nobody_asked_for_is_not_read(form):
    authenticator = Authenticator(SITE)
    authenticator.form = form
    assert refused(lambda: made(authenticator))


def test_a_statement_where_there_is_none_is_refused():
    authenticator = Authenticator(SITE)
    authenticator.statement = {"sig": b"x"}
    assert refused(lambda: made(authenticator))


def test_an_endless_credential_is_refused():
    assert refused(lambda: made(Authenticator(SITE, b"c" * 1024)))
    assert len(made(Authenticator(SITE, b"c" * 1023)).credential) == 1023


@pytest.mark.parametrize(
    "answer",
    ["", "{}", "[]", "null", "1", '"x"', "{" * 900, "[" * 30_000, '{"id": "x"}', '{"id": 1, "response": {}}', '{"id": "x", "response": []}',
     '{"id": "x", "response": {"clientDataJSON": "bnVsbA"}}', '{"id": "é", "response": {"clientDataJSON": 1}}', "x" * (MAX_RESPONSE + 1), "\ud800"],
    ids=lambda answer: answer[:30].encode("ascii", "backslashreplace").decode(),
)  # fmt: skip
def test_what_is_no_answer_is_refused(answer):
    key = Key(b"c" * 32, b"", 0)
    assert refused(lambda: credential_of(answer))
    assert refused(lambda: check_creation(SITE, CHALLENGE, answer))
    assert refused(lambda: check_request(SITE, CHALLENGE, key, answer))


WHOLE = Authenticator(SITE)
KEPT = made(WHOLE)
ANSWER = json.loads(WHOLE.get(REQUEST))
BIRTH = json.loads(Authenticator(SITE).create(CREATION))


@settings(deadline=None)
@given(st.data())
def test_no_changed_byte_goes_unnoticed_and_none_breaks_the_check(data):
    name = data.draw(st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]))
    content = bytearray(bytes_of(ANSWER["response"][name]))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    changed = ANSWER | {"response": ANSWER["response"] | {name: text_of(bytes(content))}}
    assert refused(lambda: check_request(SITE, CHALLENGE, KEPT, json.dumps(changed)))


@settings(deadline=None)
@given(st.data())
def test_a_mangled_birth_is_refused_or_keeps_the_challenge_and_the_site(data):
    content = bytearray(bytes_of(BIRTH["response"]["attestationObject"]))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    changed = BIRTH | {"response": BIRTH["response"] | {"attestationObject": text_of(bytes(content))}}
    with suppress(NotPermitted):
        key = check_creation(SITE, CHALLENGE, json.dumps(changed))
        # What may differ is the new key itself, its counter and its maker: nobody vouches for those.
        assert 0 < len(key.credential) <= 1023


@pytest.mark.parametrize(
    ("id_", "origin"),
    [
        ("localhost", "http://localhost"),
        ("localhost", "http://localhost:18789"),
        ("bots.tail1234.ts.net", "https://bots.tail1234.ts.net"),
        ("bots.example.org", "https://bots.example.org:8443"),
    ],
)
def test_a_site_with_a_name_has_passkeys(id_, origin):
    assert check_party(RelyingParty(id_, origin)) is None


@pytest.mark.parametrize(
    ("id_", "origin"),
    [
        ("127.0.0.1", "http://127.0.0.1:18789"),
        ("127.0.0.1", "https://127.0.0.1:18789"),
        ("[::1]", "https://[::1]"),
        ("bots.example.org", "http://bots.example.org"),
        ("example.org", "https://bots.example.org"),
        ("bots.example.org", "https://bots.example.org.evil.example"),
        ("bots.example.org", "https://bots.example.org/x"),
        ("bots.example.org", "https://user@bots.example.org"),
        ("localhost", "http://localhost:x"),
        ("localhost", "ftp://localhost"),
        ("localhost", "localhost"),
        ("LOCALHOST", "https://LOCALHOST"),
        ("", "https://"),
        ("b\u00fccher.example", "https://b\u00fccher.example"),
        ("a" * 254, "https://" + "a" * 254),
    ],
)
def test_a_site_on_which_no_browser_would_use_one_is_refused(id_, origin):
    with pytest.raises(Unavailable) as caught:
        check_party(RelyingParty(id_, origin))
    assert caught.value.code == "passkey_host"


def test_nobody_loads_the_library_who_uses_no_passkey():
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(SRC.parent)!r})\n"
        "import bascule.tokens.passkeys, bascule.app.doorkeeping\n"
        "print('LOADED', [name for name in ('webauthn', 'cbor2', 'OpenSSL') if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "LOADED []" in ran.stdout, ran.stderr
