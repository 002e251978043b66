"""The first message of a tunnel says whom it is for, or the tunnel is refused."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.egress.hellos import ECH, bare, extension, hello, records, sni

from bascule.core.errors import Malformed
from bascule.egress.client_hello import LONGEST, MOST_RECORDS, server_name


def real_hello(host: str | None) -> bytes:
    """What this machine's own TLS library sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(inbound, outbound, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outbound.read()


def test_a_real_hello_names_its_host() -> None:
    assert server_name(real_hello("Example.org")) == "example.org"
    with pytest.raises(Malformed) as refused:
        server_name(real_hello(None))
    assert refused.value.code == "tls_no_name"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 100, 1 << 14])
def test_a_hello_may_come_in_pieces(size: int) -> None:
    content = hello(sni("example.org"))
    assert server_name(records(content, size)) == "example.org"


def test_every_prefix_waits_for_more() -> None:
    for whole in (records(hello(sni("example.org"))), records(hello(sni("example.org")), 7), real_hello("example.org")):
        assert [server_name(whole[:length]) for length in range(len(whole))] == [None] * len(whole)
        assert server_name(whole) == "example.org"


def test_what_follows_in_records_of_its_own_is_not_looked_at() -> None:
    assert server_name(records(hello(sni("example.org"))) + b"\x14\x03\x03\x00\x01\x01") == "example.org"


REFUSED = {
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "SSLv2": b"\x80\x2e\x01\x00\x02",
    "ssh": b"SSH-2.0-x\r\n",
    "an alert": b"\x15\x03\x01\x00\x02\x01\x00",
    "application data": b"\x17\x03\x03\x00\x02ab",
    "old version": b"\x16\x02\x00\x00\x04\x01\x00\x00\x00",
    "a ServerHello": records(b"\x02" + hello(sni("example.org"))[1:]),
    "an empty record": b"\x16\x03\x01\x00\x00" + records(hello(sni("example.org"))),
    "a huge record": b"\x16\x03\x01\xff\xff" + b"\x01",
    "a huge hello": records(b"\x01\xff\xff\xff"),
    "something behind it": records(hello(sni("example.org")) + b"\x01\x00\x00\x00"),
    "no extensions": records(bare(b"")),
    "no name": records(hello(extension(10, b"\x00\x02\x00\x1d"))),
    "an empty name": records(hello(sni(""))),
    "two names": records(hello(extension(0, b"\x00\x0a\x00\x00\x02ab\x00\x00\x02cd"))),
    "two name extensions": records(hello(sni("example.org"), sni("evil.test"))),
    "another kind of name": records(hello(extension(0, b"\x00\x05\x01\x00\x02ab"))),
    "a name outside ASCII": records(hello(extension(0, b"\x00\x05\x00\x00\x02\xc3\xbc"))),
    "an encrypted hello": records(hello(sni("example.org"), extension(ECH, b"\x00" * 20))),
    "an older encrypted name": records(hello(sni("example.org"), extension(0xFFCE, b"\x00"))),
    "a cut extension": records(bare(b"\x00\x08\x00\x00\x00\x10abcd")),
    "bytes behind the extensions": records(bare(b"\x00\x00xx")),
    "no cipher suites": records(bare(b"", suites=b"")),
    "half a cipher suite": records(bare(b"", suites=b"\x13")),
    "a long session id": records(bare(b"", session=b"x" * 33)),
    "no compression": records(bare(b"", compressions=b"")),
    "TLS 2": records(bare(b"", version=b"\x02\x00")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_hello_for_one_named_host_is_refused(what: str) -> None:
    with pytest.raises(Malformed) as refused:
        server_name(REFUSED[what])
    assert refused.value.code in {"tls_hello", "tls_no_name"}


def test_a_hello_that_never_ends_is_refused() -> None:
    endless = records(b"\x01\x00\xff\xf0" + b"a" * (1 << 17), 100)
    with pytest.raises(Malformed):
        server_name(endless[: LONGEST + 1])


@given(st.binary(max_size=200))
def test_no_bytes_crash_it(content: bytes) -> None:
    for received in (content, b"\x16\x03\x01\x00\x10" + content, records(hello(content)) if content else b""):
        try:
            found = server_name(received)
        except Malformed:
            continue
        assert found is None or found == found.lower()


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_never_names_another_host_unseen(at: int, value: int) -> None:
    whole = bytearray(records(hello(sni("example.org"))))
    whole[at % len(whole)] = value
    try:
        found = server_name(bytes(whole))
    except Malformed:
        return
    assert found is None or found.encode() in bytes(whole).lower()


def test_a_hello_in_more_records_than_anybody_needs() -> None:
    content = hello(sni("example.org"), extension(0xFFF0, b"x" * 1000))
    assert server_name(records(content, -(-len(content) // MOST_RECORDS))) == "example.org"
    with pytest.raises(Malformed) as refused:
        server_name(records(content, len(content) // (2 * MOST_RECORDS)))
    assert refused.value.code == "tls_hello"
