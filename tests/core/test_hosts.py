"""Names and addresses have one spelling, and an IP address is none."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Malformed
from bascule.core.hosts import (
    is_local_name,
    literal_problem,
    parse_authority,
    parse_host,
    parse_port,
    parse_url,
)

GOOD = {
    "example.org": "example.org",
    "EXAMPLE.Org": "example.org",
    "example.org.": "example.org",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "_dmarc.example.org": "_dmarc.example.org",
    "a-b.c1.example.org": "a-b.c1.example.org",
    "1.2.3.4.example.org": "1.2.3.4.example.org",
    "0x7f.example": "0x7f.example",
    "localhost": "localhost",
}

BAD = [
    "", ".", "..", "example..org", "example.org..", ".example.org", "-a.example", "a-.example", "a b.example",
    "a/b.example", "a\\b.example", "a@b.example", "a\0.example", "a\n.example", "a\t.example", "a%2eexample", "a*.example",
    "*.example", "bücher.example", "\uff45xample.org", "\uff11\uff12\uff17.0.0.1", "example。org", "example\uff0eorg", "exa\u200bmple.org",
    "exa\u00admple.org", "ⓔxample.org", "a" * 64 + ".org", ".".join(["a" * 60] * 5), "[::1]", "::1", "a:b", "example.org:80",
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0x7f.0.0.1", "127.0.0.0x1", "127.0.0.1.", "0", "0x",
    "1.1.1.256", "999.999.999.999", "a.0x7f", "a.1", "fe80::1%eth0", "::ffff:127.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize(("written", "host"), GOOD.items())
def test_a_name_has_one_spelling(written: str, host: str) -> None:
    assert parse_host(written) == host
    assert parse_host(host) == host


@pytest.mark.parametrize("written", BAD)
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_host(written)
    assert refused.value.code in {"host_name", "host_literal"}


@given(st.ip_addresses())
def test_no_address_is_a_name(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    for written in (str(address), str(int(address)), hex(int(address)), f"[{address}]", f"{address}."):
        with pytest.raises(Malformed):
            parse_host(written)
        assert literal_problem(written)


@given(st.text(max_size=40))
def test_a_name_that_is_read_reads_as_itself(text: str) -> None:
    try:
        host = parse_host(text)
    except Malformed:
        return
    assert parse_host(host) == host == host.lower()
    with pytest.raises(ValueError):
        ipaddress.ip_address(host)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("router", True), ("metadata.google.internal", True), ("printer.local", True),
        ("a.localhost", True), ("nas.lan", True), ("1.0.0.127.in-addr.arpa", True), ("x.onion", True), ("127.0.0.1", True), ("::1", True),
        ("example.org", False), ("localhost.example.org", False), ("local.example", False),
    ],
)  # fmt: skip
def test_local_names(host: str, local: bool) -> None:
    assert is_local_name(host) is local


@pytest.mark.parametrize(
    "written", ["0", "00", "080", "+80", "-1", " 80", "80 ", "65536", "8_0", "\uff10", "٨٠", "", "1e3"]
)
def test_what_is_no_port_is_refused(written: str) -> None:
    with pytest.raises(Malformed):
        parse_port(written)


def test_ports_and_authorities() -> None:
    assert parse_port("65535") == 65_535
    assert parse_authority("Example.ORG.:443") == ("example.org", 443)
    for written in ("example.org", "example.org:", ":443", "a@example.org:443", "[::1]:443", "a:1:2", "127.0.0.1:443"):
        with pytest.raises(Malformed):
            parse_authority(written)


def test_addresses() -> None:
    found = parse_url("HTTPS://Example.ORG./a/b?x=1&y=%20#top")
    assert str(found) == "https://example.org/a/b?x=1&y=%20"
    assert (found.port, found.authority, found.target) == (443, "example.org", "/a/b?x=1&y=%20")
    assert str(parse_url("http://example.org")) == "http://example.org/"
    assert str(parse_url("http://example.org:8080?")) == "http://example.org:8080/?"
    assert parse_url("http://example.org?q=http://127.0.0.1/").host == "example.org"


@pytest.mark.parametrize(
    "written",
    [
        "", "example.org", "//example.org/", "/etc/passwd", "file:///etc/passwd", "ftp://example.org/", "gopher://example.org",
        "javascript:alert(1)", "data:text/plain,x", "http:example.org", "http:/example.org", "http:///example.org",
        "http://user@example.org/", "http://user:pw@example.org/", "http://example.org@127.0.0.1/", "http://@example.org",
        "http://example.org\\@127.0.0.1/", "http://example.org\\.evil.test/", "http://example.org /", "http://exa mple.org/",
        " http://example.org/", "http://example.org/\n", "http://example.org/a b", "http://example.org/\r\nHost: x",
        "http://example.org/ü", "http://example.org/%", "http://example.org/%zz", "http://example.org/../x",
        "http://example.org/a/./b", "http://example.org/%2e%2e/x", "http://example.org/a/.%2E/x", "http://example.org:0/",
        "http://example.org:99999/", "http://example.org:/", "http://example.org:80:80/", "http://[::1]/", "http://127.1/",
        "http://[::1", "http://::1/", "http://0x7f.1/", "http://example.org:+80/", "http://" + "a" * 5000, "http://%31/",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(written: str) -> None:
    with pytest.raises(Malformed):
        parse_url(written)


def test_only_a_literal_that_policy_writes_may_stand() -> None:
    literals = frozenset({"127.0.0.1", "::1"})
    assert parse_url("http://127.0.0.1:8099/x", literals=literals).host == "127.0.0.1"
    assert str(parse_url("http://[::1]:8099/", literals=literals)) == "http://[::1]:8099/"
    for written in (
        "http://127.0.0.2/",
        "http://127.1/",
        "http://127.0.0.1.:80/",
        "http://[::2]/",
        "http://2130706433/",
    ):
        with pytest.raises(Malformed):
            parse_url(written, literals=literals)


@given(st.text(max_size=60))
def test_an_address_that_is_read_reads_as_itself(text: str) -> None:
    for written in (text, f"http://{text}", f"https://example.org/{text}"):
        try:
            address = parse_url(written)
        except Malformed:
            continue
        assert parse_url(str(address)) == address
        assert str(address).isascii()
