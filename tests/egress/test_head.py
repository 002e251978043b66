"""A request to the proxy has one reading, and what is sent on is written from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.effort import enough

from bascule.core.errors import Malformed
from bascule.egress.head import Head, parse_head

NONE: frozenset[str] = frozenset()


def head(text: str, literals: frozenset[str] = NONE) -> Head:
    return parse_head(text.replace("\n", "\r\n").encode("latin-1"), literals)


def test_a_tunnel() -> None:
    found = head("CONNECT Example.ORG:443 HTTP/1.1\nHost: whatever\nProxy-Authorization: x")
    assert (found.method, found.target, found.length, found.headers) == ("CONNECT", "example.org:443", 0, ())
    assert found.wanted.scheme == found.wanted.method == found.wanted.path == ""
    assert found.written() == b""


def test_a_request_is_written_anew() -> None:
    found = head(
        "POST http://Example.ORG:80/a?b#c HTTP/1.0\nhOST: example.org\nContent-Length: 3\nX-A: 1 \nX-A:2\n"
        "Connection: close, x-b\nX-B: secret\nProxy-Connection: keep-alive\nUpgrade: h2c\nExpect: 100-continue\nTE: trailers"
    )
    assert found.length == 3
    assert found.wanted.method == "POST"
    assert found.written() == (
        b"POST /a?b HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n"
    )


def test_a_length_cannot_be_named_away() -> None:
    found = head("POST http://a.test/ HTTP/1.1\nConnection: content-length\nContent-Length: 3")
    assert b"Content-Length: 3\r\n" in found.written()


def test_literals_that_policy_names() -> None:
    literals = frozenset({"127.0.0.1", "::1"})
    assert head("CONNECT 127.0.0.1:8099 HTTP/1.1", literals).target == "127.0.0.1:8099"
    assert head("CONNECT [::1]:8099 HTTP/1.1", literals).wanted.host == "::1"
    assert b"Host: 127.0.0.1:8099\r\n" in head("GET http://127.0.0.1:8099/ HTTP/1.1", literals).written()
    for target in ("127.0.0.2:1", "127.0.0.1", "127.0.0.1:80/x", "127.0.0.1:80@a.test:80", "127.1:80"):
        with pytest.raises(Malformed):
            head(f"CONNECT {target} HTTP/1.1", literals)


REFUSED = [
    "", "GET", "GET /", "GET / HTTP/1.1", "GET * HTTP/1.1", "GET a.test HTTP/1.1", "get http://a.test/ HTTP/1.1",
    "GET https://a.test/ HTTP/1.1", "GET ftp://a.test/ HTTP/1.1", "GET  http://a.test/ HTTP/1.1", "GET http://a.test/ HTTP/2.0",
    "GET http://a.test/ HTTP/1.1 ", " GET http://a.test/ HTTP/1.1", "GET http://a.test/\tHTTP/1.1", "GET http://a.test/ x HTTP/1.1",
    "GET http://u@a.test/ HTTP/1.1", "GET http://127.0.0.1/ HTTP/1.1", "GET http://[::1]/ HTTP/1.1", "GET http://a.test/\x00 HTTP/1.1",
    "CONNECT a.test HTTP/1.1", "CONNECT a.test:0 HTTP/1.1", "CONNECT http://a.test:443 HTTP/1.1", "CONNECT a.test:443/ HTTP/1.1",
    "CONNECT 127.0.0.1:443 HTTP/1.1", "CONNECT [::1]:443 HTTP/1.1", "CONNECT 2130706433:80 HTTP/1.1", "CONNECT a@b.test:443 HTTP/1.1",
    "CONNECT /run/x.sock HTTP/1.1", "CONNECT a.test:443 HTTP/1.1\nContent-Length: 0", "CONNECT a.test:443 HTTP/1.1\nTransfer-Encoding: chunked",
    "GET http://a.test/ HTTP/1.1\nHost: b.test", "GET http://a.test/ HTTP/1.1\nHost: a.test\nHost: a.test",
    "GET http://a.test/ HTTP/1.1\nHost: a.test:81", "GET http://a.test/ HTTP/1.1\nHost:", "GET http://a.test/ HTTP/1.1\nHost: a.test, b.test",
    "GET http://a.test/ HTTP/1.1\nHost : a.test", "GET http://a.test/ HTTP/1.1\n Host: a.test", "GET http://a.test/ HTTP/1.1\nX: a\n b",
    "GET http://a.test/ HTTP/1.1\nX", "GET http://a.test/ HTTP/1.1\n: x", "GET http://a.test/ HTTP/1.1\nX: a\rY: b",
    "GET http://a.test/ HTTP/1.1\nX\x00: a", "GET http://a.test/ HTTP/1.1\nX: a\x00", "GET http://a.test/ HTTP/1.1\nX: \x7f",
    "POST http://a.test/ HTTP/1.1\nTransfer-Encoding: chunked", "POST http://a.test/ HTTP/1.1\nTransfer-Encoding: x\nContent-Length: 1",
    "POST http://a.test/ HTTP/1.1\nContent-Length: 1\nContent-Length: 1", "POST http://a.test/ HTTP/1.1\nContent-Length: 1, 1",
    "POST http://a.test/ HTTP/1.1\nContent-Length: +1", "POST http://a.test/ HTTP/1.1\nContent-Length: 0x1",
    "POST http://a.test/ HTTP/1.1\nContent-Length: -1", "POST http://a.test/ HTTP/1.1\nContent-Length:",
    "GET http://a.test/ HTTP/1.1" + "\nX: a" * 101,
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        head(text)


def test_a_bare_line_feed_ends_no_line() -> None:
    for text in (b"GET http://a.test/ HTTP/1.1\nX: a", b"GET http://a.test/ HTTP/1.1\r\nX: a\nHost: b.test"):
        with pytest.raises(Malformed):
            parse_head(text, NONE)


@given(st.binary(max_size=80))
def test_no_bytes_crash_it_and_nothing_smuggles_a_line(content: bytes) -> None:
    for text in (content, b"GET http://a.test/ HTTP/1.1\r\n" + content, b"CONNECT " + content + b" HTTP/1.1"):
        try:
            found = parse_head(text, NONE)
        except Malformed:
            continue
        written = found.written()
        assert written.count(b"\r\n\r\n") == (found.address is not None)
        assert written.count(b"\n") == written.count(b"\r") == (len(found.headers) + 4 if written else 0)


HOSTILE = """
from bascule.core.errors import Malformed
from bascule.egress.head import LONGEST, parse_head
refused = 0
for filler in 10 * (b" ", b"\\t", b"a: ", b"a", b":", b"%", b"[", b"a: \\r\\n", b"\\xff", b"%2e"):
    for before in (b"", b"GET http://a.test/ HTTP/1.1\\r\\na:", b"GET http://a.test/", b"CONNECT ", b"GET http://"):
        for end in (b"\\x01", b" ", b" HTTP/1.1"):
            try:
                parse_head((before + filler * LONGEST)[:LONGEST] + end, frozenset({"127.0.0.1", "::1"}))
            except Malformed:
                refused += 1
assert refused > 1000, refused
"""


def test_no_head_keeps_the_gateway_busy() -> None:
    assert enough(HOSTILE)
