"""A software authenticator: makes keys and signs as a security key and a browser do together, honestly or not."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bascule.service.passkeys import RelyingParty

PRESENT, VERIFIED, ATTESTED = 1, 4, 64


def text_of(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def bytes_of(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


class Authenticator:
    """One credential. Attributes are what it lies about when a test sets them."""

    def __init__(self, site: RelyingParty, credential: bytes = b"c" * 32) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.credential = credential
        self.site = site
        self.origin = site.origin
        self.count = 0
        self.step = 1
        self.flags = PRESENT | VERIFIED
        self.client: dict[str, Any] = {}
        self.form = "none"
        self.statement: dict[str, Any] = {}

    def create(self, options: dict[str, Any]) -> str:
        """Answer ``navigator.credentials.create``."""
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        identity = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential
        data = self._data(ATTESTED) + identity + cbor2.dumps(public)
        attestation = cbor2.dumps({"fmt": self.form, "attStmt": self.statement, "authData": data})
        client = self._client("webauthn.create", options)
        return self._answer({"clientDataJSON": text_of(client), "attestationObject": text_of(attestation)})

    def get(self, options: dict[str, Any]) -> str:
        """Answer ``navigator.credentials.get``."""
        data, client = self._data(0), self._client("webauthn.get", options)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        parts = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        return self._answer({name: text_of(part) for name, part in parts.items()} | {"userHandle": None})

    def _data(self, more: int) -> bytes:
        self.count += self.step
        return (
            hashlib.sha256(self.site.id.encode()).digest()
            + bytes([self.flags | more])
            + self.count.to_bytes(4, "big")
        )  # fmt: skip

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(said | self.client).encode()

    def _answer(self, response: dict[str, Any]) -> str:
        name = text_of(self.credential)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )
