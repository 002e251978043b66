"""The ledger's signing key: made once, kept where only the gateway reads.

Stops: a head that somebody without the key made up. Does not stop whoever holds the gateway's account from signing:
heads copied to another machine are what such a one cannot take back.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from bascule.core.errors import Malformed, Tampered, Unavailable

KEY_FILE = "ledger.key"
PUBLIC_FILE = "ledger.pub"


class Signer:
    """Signs with one Ed25519 key; ``name`` is the first 16 hex characters of the public key's SHA-256."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key()
        self.name = key_name(self.public)

    def sign(self, statement: bytes) -> str:
        """Return the signature, 128 hex characters."""
        return self._key.sign(statement).hex()


def load_or_create(state: Path) -> Signer:
    """Return the home's signer, making ``ledger.key`` (0600) and ``ledger.pub`` (0644) the first time.

    Raises:
        Unavailable: a file cannot be read or written.
        Tampered: the key is open to others, unreadable, gone while its public half is there, or of another pair.
    """
    secret, public = state / KEY_FILE, state / PUBLIC_FILE
    try:
        if not secret.exists() and not secret.is_symlink():
            if public.exists():
                raise Tampered("ledger_key_gone", f"{secret} is gone but {public} is there", f"restore {secret}")
            _create(secret, public)
        signer = Signer(_read(secret))
        if not public.exists():
            _write(public, public_text(signer.public).encode("ascii"), 0o644)
        if key_name(read_public(public.read_text("ascii"))) != signer.name:
            raise Tampered("ledger_key_pair", f"{public} does not belong to {secret}")
    except (OSError, UnicodeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not readable"
        raise Unavailable("ledger_key", f"the ledger's key in {state}: {reason}") from None
    return signer


def public_text(key: Ed25519PublicKey) -> str:
    """Return the public key as PEM text."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def read_public(untrusted_text: str) -> Ed25519PublicKey:
    """Read what :func:`public_text` wrote.

    Raises:
        Malformed: no Ed25519 public key in PEM.
    """
    try:
        key = load_pem_public_key(untrusted_text.encode("utf-8"))
    except ValueError:
        key = None
    del untrusted_text
    if not isinstance(key, Ed25519PublicKey):
        raise Malformed("public_key", "this is no Ed25519 public key in PEM")
    return key


def key_name(key: Ed25519PublicKey) -> str:
    """Return the first 16 hex characters of the SHA-256 of the 32 key bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def signature_holds(key: Ed25519PublicKey, signature_hex: str, statement: bytes) -> bool:
    """True if the signature over ``statement`` is by ``key``."""
    try:
        key.verify(bytes.fromhex(signature_hex), statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def _create(secret: Path, public: Path) -> None:
    key = Ed25519PrivateKey.generate()
    _write(secret, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _write(public, public_text(key.public_key()).encode("ascii"), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write beside and rename, so that a killed or full start leaves no half key behind."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    beside.rename(path)


def _read(secret: Path) -> Ed25519PrivateKey:
    fd = os.open(secret, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        seen = os.fstat(fd)
        content = os.read(fd, 4096)
    finally:
        os.close(fd)
    if not stat.S_ISREG(seen.st_mode) or seen.st_mode & 0o077 or seen.st_uid != os.geteuid():
        raise Tampered("ledger_key_mode", f"{secret} is not ours alone", f"chmod 600 {secret}")
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Tampered("ledger_key_damaged", f"{secret} holds no Ed25519 key", "restore it from a copy")
    return key
