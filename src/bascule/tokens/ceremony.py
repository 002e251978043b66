"""The two ceremonies of WebAuthn: what a browser is asked for, and whether what it returns is what was asked.

Stops: an answer to another challenge, from another site, out of another site's frame, by another key, without the
person having shown the authenticator who they are, or by a copy of a key that counts. The checks are those of Web
Authentication level 3, sections 7.1 and 7.2. Does not stop: a key whose maker lies about asking for the person; no
certificate of the maker is asked for, as it would name the person's device.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bascule.core.canonical import Json
from bascule.core.errors import NotPermitted, Unavailable
from bascule.service.passkeys import RelyingParty

ALGORITHMS: Final = (-8, -7, -257)
"""COSE numbers of EdDSA, ES256 and RS256: what every authenticator knows at least one of."""

FORMATS: Final = frozenset({"none", "packed"})
"""Attestations that can come where none was asked for: a browser leaves a key's own signature (``packed``) in place."""

TIMEOUT_MILLISECONDS: Final = 120_000

MAX_RESPONSE: Final = 32_768
"""Characters of a browser's answer; one with an RSA key takes about 2000."""

MAX_CREDENTIAL: Final = 1023
"""Bytes of a credential's id, of the specification (section 5.8.3)."""

_HOST = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_PORT = re.compile(r"(:[0-9]{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """A credential as it is kept: its id, its COSE public key, how often its authenticator says it was used."""

    credential: bytes
    public: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Signed:
    """What an authenticator signed, whole, so that anyone with the public key can check it again."""

    count: int
    client_data: str
    authenticator_data: str
    signature: str


def check_party(party: RelyingParty) -> None:
    """Refuse a site on which no browser would use a passkey.

    Raises:
        Unavailable: ``passkey_host``: an address instead of a name, or neither HTTPS nor ``localhost``.
    """
    scheme, found, place = party.origin.partition("://")
    port = place.removeprefix(party.id)
    local = scheme == "http" and party.id == "localhost"
    if not found or not (scheme == "https" or local) or not place.startswith(party.id) or not _PORT.fullmatch(port):
        raise _no_site()
    if not _HOST.fullmatch(party.id):
        raise _no_site()


def _no_site() -> Unavailable:
    detail = "passkeys need HTTPS and a host's name, or localhost"
    return Unavailable("passkey_host", detail, "open the dashboard as http://localhost, or through HTTPS")


def creation_options(
    party: RelyingParty, challenge: bytes, owner: tuple[bytes, str], known: Sequence[bytes]
) -> dict[str, Json]:
    """Return what ``navigator.credentials.create`` is asked for, as the specification's JSON (section 5.1.9).

    Args:
        party: the site.
        challenge: random.
        owner: a handle that tells nothing of the person (at most 64 bytes), and what to call them.
        known: ids of their credentials, none of which is made again.
    """
    handle, name = owner
    return {
        "rp": {"id": party.id, "name": "Bascule"},
        "user": {"id": text_of(handle), "name": name, "displayName": name},
        "challenge": text_of(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": TIMEOUT_MILLISECONDS,
        "excludeCredentials": _descriptors(known),
        "authenticatorSelection": {
            "residentKey": "discouraged",
            "requireResidentKey": False,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def request_options(party: RelyingParty, challenge: bytes, known: Sequence[bytes]) -> dict[str, Json]:
    """Return what ``navigator.credentials.get`` is asked for; arguments as of :func:`creation_options`."""
    return {
        "challenge": text_of(challenge),
        "timeout": TIMEOUT_MILLISECONDS,
        "rpId": party.id,
        "allowCredentials": _descriptors(known),
        "userVerification": "required",
    }


def _descriptors(known: Sequence[bytes]) -> list[Json]:
    return [{"type": "public-key", "id": text_of(credential)} for credential in known]


def text_of(content: bytes) -> str:
    """Base64url without padding, as WebAuthn writes bytes."""
    return urlsafe_b64encode(content).decode("ascii").rstrip("=")


def _bytes_of(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def refused() -> NotPermitted:
    """What is said to an answer that does not hold, whatever is wrong with it."""
    return NotPermitted("passkey_refused", "the passkey's answer does not hold", "try again")


def credential_of(untrusted_response: str) -> bytes:
    """Return the id of the credential that claims to answer.

    Raises:
        NotPermitted: ``passkey_refused``.
    """
    return _parts(untrusted_response)[0]


def _parts(untrusted_response: str) -> tuple[bytes, dict[str, str]]:
    """Read an answer's outer JSON: the credential's id, and the texts of its ``response``."""
    if len(untrusted_response) > MAX_RESPONSE:
        raise refused()
    try:
        found = json.loads(untrusted_response)
        credential, texts = _bytes_of(found["id"]), dict(found["response"])
        client = json.loads(_bytes_of(texts["clientDataJSON"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise refused() from None
    del untrusted_response
    # The library does not look at these: the page that asked must be ours, not one that shows ours in a frame.
    if not isinstance(client, dict) or client.get("crossOrigin") not in {None, False} or "topOrigin" in client:
        raise refused()
    return credential, {name: text for name, text in texts.items() if isinstance(text, str)}


def check_creation(party: RelyingParty, challenge: bytes, untrusted_response: str) -> Key:
    """Return the credential a browser made.

    Raises:
        NotPermitted: ``passkey_refused``.
    """
    from webauthn import verify_registration_response  # noqa: PLC0415 -- heavy: loaded by the first who uses one
    from webauthn.helpers import parse_attestation_object  # noqa: PLC0415 -- as above
    from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415 -- as above

    _, texts = _parts(untrusted_response)
    try:
        _refuse_certificates(parse_attestation_object(_bytes_of(texts["attestationObject"])).fmt)
        made = verify_registration_response(
            credential=untrusted_response,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
        )
    except Exception:  # noqa: BLE001 -- the library parses hostile bytes: whatever it trips over is a no
        raise refused() from None
    if len(made.credential_id) > MAX_CREDENTIAL:
        raise refused()
    return Key(made.credential_id, made.credential_public_key, made.sign_count)


def _refuse_certificates(form: str) -> None:
    """Before the library reads on: the other formats are chains of certificates, and nobody asked for one."""
    if form not in FORMATS:
        raise refused()


def check_request(party: RelyingParty, challenge: bytes, key: Key, untrusted_response: str) -> Signed:
    """Return what a credential signed, if it is ``key`` and signed for this challenge on this site.

    Raises:
        NotPermitted: ``passkey_refused``.
    """
    from webauthn import verify_authentication_response  # noqa: PLC0415 -- heavy: loaded by the first who uses one

    credential, texts = _parts(untrusted_response)
    if credential != key.credential:
        raise refused()
    try:
        seen = verify_authentication_response(
            credential=untrusted_response,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=key.public,
            credential_current_sign_count=key.count,
            require_user_verification=True,
        )
        evidence = [text_of(_bytes_of(texts[name])) for name in ("clientDataJSON", "authenticatorData", "signature")]
    except Exception:  # noqa: BLE001 -- the library parses hostile bytes: whatever it trips over is a no
        raise refused() from None
    return Signed(seen.new_sign_count, *evidence)
