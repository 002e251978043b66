"""Tokens are found by their hash alone, made and ended once, with their record, and no file ever holds a secret."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import apsw
import pytest
from tests.builders import NOW
from tests.tokens.opened import Opened

from bascule.core.errors import Malformed, Unavailable
from bascule.tokens.store import NOTE_SECONDS, hashed, same
from bascule.tokens.token import DAY


def contents(state: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file())


def test_a_token_is_found_by_its_secret_and_by_nothing_else(tmp_path):
    with Opened(tmp_path) as home:
        token, secret = asyncio.run(home.made(scopes="read,chat", agents="bruba-web", session="phone", person="talker"))
        assert home.tokens.find(secret) == token == home.tokens.get(token.id)
        other = secret[:-1] + ("A" if secret[-1] != "A" else "E")
        for wrong in (other, secret[4:], secret.upper(), secret + "=", token.id, hashed(secret).hex(), ""):
            assert home.tokens.find(wrong) is None


def test_a_token_outlives_the_process_that_made_it(tmp_path):
    with Opened(tmp_path) as home:
        token, secret = asyncio.run(home.made())
        asyncio.run(home.made("other"))
        asyncio.run(home.tokens.revoke("other", by="root"))
    with Opened(tmp_path) as after:
        assert after.tokens.find(secret) == token
        assert [found.state(NOW) for found in after.tokens.every()] == ["active", "revoked"]


def test_no_file_ever_holds_a_secret(tmp_path):
    with Opened(tmp_path) as home:
        _, secret = asyncio.run(home.made())
        link, _ = asyncio.run(home.browsers.make_link(by="root"))
        browser = asyncio.run(home.doors.redeem(link))
        home.tokens.note_use(home.tokens.find(secret))
        during = contents(tmp_path)
    after = contents(tmp_path)
    for word in (secret, link, browser):
        assert hashed(word) in during + after
        assert word.encode() not in during + after
        assert word[4:].encode() not in during + after


def test_what_is_made_and_ended_is_recorded_with_it(tmp_path):
    with Opened(tmp_path) as home:
        token, secret = asyncio.run(home.made(scopes="chat", trusted=True))
        asyncio.run(home.tokens.revoke(token.id, by="maya"))
        asyncio.run(home.tokens.revoke(token.id, by="maya"))
        [made], [revoked] = home.records("token_made"), home.records("token_revoked")
        assert json.loads(made)["token"] == json.loads(revoked)["token"] == token.id
        assert (json.loads(made)["by"], json.loads(made)["trusted"], json.loads(revoked)["by"]) == (
            "root",
            True,
            "maya",
        )
        assert secret[4:] not in made + revoked
        assert home.verified().ok


def test_a_record_that_cannot_be_written_makes_no_token(tmp_path):
    class Full:
        def record(self, change, kind, body):
            raise Unavailable("disk_full", "no space is left")

    with Opened(tmp_path) as home:
        token, secret = asyncio.run(home.made())
        home.tokens._journal = Full()
        with pytest.raises(Unavailable):
            asyncio.run(home.made("other"))
        with pytest.raises(Unavailable):
            asyncio.run(home.tokens.revoke("phone", by="root"))
        assert home.tokens.every() == [token]
        assert home.tokens.find(secret).state(NOW) == "active"


def test_a_name_is_one_active_token_s(tmp_path):
    with Opened(tmp_path) as home:
        first, _ = asyncio.run(home.made(days=1))
        with pytest.raises(Malformed) as refused:
            asyncio.run(home.made())
        assert refused.value.code == "token_name"
        home.time.at += DAY
        second, _ = asyncio.run(home.made())
        asyncio.run(home.tokens.revoke("phone", by="root"))
        third, _ = asyncio.run(home.made())
        assert [found.id for found in home.tokens.every()] == [first.id, second.id, third.id]
        assert home.tokens.get(second.id).revoked == home.time.at


def test_a_name_that_was_used_again_ends_the_token_that_works(tmp_path):
    with Opened(tmp_path) as home:
        asyncio.run(home.made())
        asyncio.run(home.tokens.revoke("phone", by="root"))
        again, _ = asyncio.run(home.made())
        assert asyncio.run(home.tokens.revoke("phone", by="root")).id == again.id
        assert {found.state(NOW) for found in home.tokens.every()} == {"revoked"}


@pytest.mark.parametrize("reference", ["", "nobody", "tok_0000000000000000", "' OR 1=1 --", "%", "\ud800"])
def test_what_nothing_is_called_is_unknown(tmp_path, reference):
    with Opened(tmp_path) as home:
        asyncio.run(home.made())
        with pytest.raises(Malformed) as refused:
            asyncio.run(home.tokens.revoke(reference, by="root"))
        assert refused.value.code == "token_unknown"
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("around", ["{}", " {}", "{}x", "x{}"])
def test_a_secret_given_for_a_name_is_not_repeated(tmp_path, around):
    with Opened(tmp_path) as home:
        _, secret = asyncio.run(home.made())
        with pytest.raises(Malformed) as refused:
            asyncio.run(home.tokens.revoke(around.format(secret), by="root"))
        assert secret[4:12] not in f"{refused.value}{refused.value!r}{refused.value.__dict__}"


def test_a_use_is_written_down_at_most_once_a_minute(tmp_path):
    with Opened(tmp_path) as home:
        _, secret = asyncio.run(home.made())
        seen = []
        for moment in (1, 2, NOTE_SECONDS, NOTE_SECONDS + 1, 3 * NOTE_SECONDS):
            home.time.at = NOW + moment
            home.tokens.note_use(home.tokens.find(secret))
            seen.append(home.tokens.find(secret).last_used - NOW)
        assert seen == [1, 1, 1, NOTE_SECONDS + 1, 3 * NOTE_SECONDS]


def test_a_disk_that_takes_nothing_keeps_nobody_out(tmp_path, monkeypatch):
    def full(sql, bindings=()):
        raise Unavailable("disk_full", "no space is left")

    with Opened(tmp_path) as home:
        token, secret = asyncio.run(home.made())
        monkeypatch.setattr(home.database, "write", full)
        assert asyncio.run(home.doors.enter(secret)).token == token.id
        assert home.tokens.find(secret).last_used is None


def test_chance_that_repeats_itself_makes_no_second_token(tmp_path):
    with Opened(tmp_path, entropy=lambda size: b"\7" * size) as home:
        asyncio.run(home.made())
        with pytest.raises(Unavailable) as refused:
            asyncio.run(home.made("other"))
        assert refused.value.code == "token_taken"
        assert len(home.tokens.every()) == 1


@pytest.mark.parametrize(
    "change",
    [
        "hash = x'00'",
        "scopes = ''",
        "trusted = 2",
        "expires = created",
        "hash = NULL",
        "scopes = NULL",
        "expires = NULL",
    ],
)
def test_the_table_refuses_what_is_no_token(tmp_path, change):
    with Opened(tmp_path) as home:
        token, _ = asyncio.run(home.made())
        with pytest.raises(apsw.ConstraintError):
            home.database.write(f"UPDATE tokens SET {change}")
        assert home.tokens.every() == [token]


def test_hashes_are_compared_whole():
    assert same(hashed("a"), hashed("a"))
    assert not any(same(hashed("a"), other) for other in (hashed("b"), b"", hashed("a")[:31], hashed("a").hex(), None))
