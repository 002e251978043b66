"""The signing key is made once, private, and missed when it is gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bascule.core.errors import Malformed, Tampered, Unavailable
from bascule.ledger.keys import (
    KEY_FILE,
    PUBLIC_FILE,
    key_name,
    load_or_create,
    public_text,
    read_public,
    signature_holds,
)


def test_the_same_key_comes_back(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        signer = load_or_create(tmp_path)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {KEY_FILE: 0o600, PUBLIC_FILE: 0o644}
    assert load_or_create(tmp_path).name == signer.name


def test_a_signature_is_of_one_key_and_one_statement(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    signer, other = load_or_create(tmp_path), load_or_create(tmp_path / "other")
    signature = signer.sign(b"statement")
    assert signature_holds(signer.public, signature, b"statement")
    assert not signature_holds(signer.public, signature, b"Statement")
    assert not signature_holds(other.public, signature, b"statement")
    assert not signature_holds(signer.public, "no hex", b"statement")
    assert not signature_holds(signer.public, "", b"statement")


def test_the_public_key_is_text_that_reads_back(tmp_path: Path) -> None:
    signer = load_or_create(tmp_path)
    text = (tmp_path / PUBLIC_FILE).read_text()
    assert text == public_text(signer.public)
    assert key_name(read_public(text)) == signer.name
    for other in ("", "x", text.replace("A", "B", 8), (tmp_path / KEY_FILE).read_text()):
        with pytest.raises(Malformed):
            read_public(other)


def lose_secret(state: Path) -> None:
    (state / KEY_FILE).unlink()


def open_secret(state: Path) -> None:
    (state / KEY_FILE).chmod(0o640)


def spoil_secret(state: Path) -> None:
    (state / KEY_FILE).write_text("no key")


def swap_public(state: Path) -> None:
    (state / "other").mkdir()
    load_or_create(state / "other")
    (state / "other" / PUBLIC_FILE).rename(state / PUBLIC_FILE)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lose_secret, "ledger_key_gone"),
        (open_secret, "ledger_key_mode"),
        (spoil_secret, "ledger_key_damaged"),
        (swap_public, "ledger_key_pair"),
    ],
)
def test_a_key_that_changed_is_not_replaced(tmp_path: Path, spoil, code: str) -> None:
    load_or_create(tmp_path)
    spoil(tmp_path)
    with pytest.raises(Tampered) as caught:
        load_or_create(tmp_path)
    assert caught.value.code == code


def test_a_linked_key_is_not_followed(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    (tmp_path / KEY_FILE).rename(tmp_path / "moved")
    (tmp_path / KEY_FILE).symlink_to(tmp_path / "moved")
    with pytest.raises(Unavailable) as caught:
        load_or_create(tmp_path)
    assert caught.value.code == "ledger_key"


def test_a_lost_public_half_is_written_again(tmp_path: Path) -> None:
    signer = load_or_create(tmp_path)
    (tmp_path / PUBLIC_FILE).unlink()
    load_or_create(tmp_path)
    assert read_public((tmp_path / PUBLIC_FILE).read_text()) == signer.public
