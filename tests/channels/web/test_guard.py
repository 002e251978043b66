"""Which requests may be looked at: hosts, origins, and whose word about them counts."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bascule.channels.web.guard import (
    SAFE_METHODS,
    Arrival,
    Place,
    grouped,
    guard_for,
    parse_authority,
    parse_origin,
)
from bascule.core.errors import BasculeError, Malformed, NotPermitted
from bascule.core.surfaces import HttpPolicy

OURS = HttpPolicy(
    origins=("https://bascule.example", "http://box.lan:8080"), proxies=("10.0.0.0/24", "fd00::/64", "127.0.0.1/32")
)
GUARD = guard_for(OURS)
DIRECT = guard_for(HttpPolicy())
HERE = Arrival("127.0.0.1", Place("http", "127.0.0.1", 18_789))


def headers(*pairs: tuple[str, str]) -> dict[bytes, list[bytes]]:
    return {name: list(values) for name, values in grouped((n.encode(), v.encode("latin-1")) for n, v in pairs).items()}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("localhost", ("localhost", None)),
        ("LOCALHOST:1", ("localhost", 1)),
        ("127.0.0.1:18789", ("127.0.0.1", 18_789)),
        ("[::1]", ("::1", None)),
        ("[::1]:65535", ("::1", 65_535)),
        ("[0:0:0:0:0:0:0:1]:1", ("::1", 1)),
        ("[::ffff:127.0.0.1]", ("::ffff:7f00:1", None)),
        ("a-b.c_d.example:80", ("a-b.c_d.example", 80)),
    ],
)
def test_a_host_and_how_it_is_read(text: str, want: tuple[str, int | None]) -> None:
    assert parse_authority(text) == want


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ":80", "localhost:", "localhost:0", "localhost:080", "localhost:65536", "localhost:-1", "localhost:8 0",
        "localhost:80:80", "user@localhost", "user:pw@localhost:80", "localhost@evil.example", "localhost/", "localhost\\",
        "localhost#", "localhost?", "localhost,evil", "localhost evil", "localhost\t", "localhost.", ".localhost",
        "a..b", "-a", "a-", "::1", "[::1", "::1]", "[::1]x", "[::1]80", "[::1%eth0]", "[127.0.0.1]", "[]", "[v1.x]",
        "\u217cocalhost", "loca\u200dlhost", "x" * 254, "localhost\0", "%6cocalhost",
    ],
)  # fmt: skip
def test_a_host_that_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_authority(text)
    assert refused.value.code == "host_malformed"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:18789", "http://127.0.0.1:18789"),
        ("localhost:18789", "http://localhost:18789"),
        ("LocalHost:18789", "http://localhost:18789"),
        ("[::1]:18789", "http://[::1]:18789"),
        ("[0000::0001]:18789", "http://[::1]:18789"),
        ("bascule.example", "https://bascule.example"),
        ("bascule.example:443", "https://bascule.example"),
        ("box.lan:8080", "http://box.lan:8080"),
    ],
)
def test_hosts_that_name_this_gateway(host: str, origin: str) -> None:
    assert str(GUARD.arrive("127.0.0.9", headers(("host", host))).origin) == origin


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:18789", "localhost.evil:18789", "localhost.evil.example:18789",
        "127.0.0.1.evil.example:18789", "127.0.0.1.nip.io:18789", "localhost", "127.0.0.1", "localhost:80",
        "localhost:18790", "127.0.0.2:18789", "127.1:18789", "2130706433:18789", "0x7f000001:18789", "0.0.0.0:18789",
        "[::ffff:127.0.0.1]:18789", "[::]:18789", "[::2]:18789", "bascule.example:80", "bascule.example:18789",
        "sub.bascule.example", "bascule.example.evil", "box.lan", "box.lan:8081", "notbascule.example",
    ],
)  # fmt: skip
def test_dns_rebinding_and_lookalikes_are_turned_away(host: str) -> None:
    with pytest.raises(NotPermitted) as refused:
        GUARD.arrive("192.0.2.1", headers(("host", host)))
    assert refused.value.code == "host_unknown"


@pytest.mark.parametrize("hosts", [[], ["localhost:18789", "localhost:18789"], ["localhost:18789", "evil.example"]])
def test_a_request_names_one_host(hosts: list[str]) -> None:
    with pytest.raises(Malformed) as refused:
        GUARD.arrive("127.0.0.1", headers(*(("host", host) for host in hosts)))
    assert refused.value.code == "host_malformed"


def test_the_address_that_is_listened_on_names_this_gateway_and_everywhere_does_not() -> None:
    found = guard_for(HttpPolicy(host="192.168.1.5")).arrive("192.168.1.9", headers(("host", "192.168.1.5:18789")))
    assert str(found.origin) == "http://192.168.1.5:18789"
    for host in ("0.0.0.0", "::"):
        wide = guard_for(HttpPolicy(host=host))
        named = f"[{host}]:18789" if ":" in host else f"{host}:18789"
        with pytest.raises(NotPermitted):
            wide.arrive("192.168.1.9", headers(("host", named)))


@pytest.mark.parametrize(
    ("peer", "sent", "address", "origin"),
    [
        # A trusted proxy is believed about host, scheme and client.
        ("10.0.0.7", [("x-forwarded-host", "bascule.example"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "203.0.113.9")], "203.0.113.9", "https://bascule.example"),
        ("10.0.0.7", [("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.8")], "203.0.113.9", "http://127.0.0.1:18789"),
        ("10.0.0.7", [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.9")], "203.0.113.9", "http://127.0.0.1:18789"),
        ("10.0.0.7", [("x-forwarded-for", "nonsense")], "10.0.0.7", "http://127.0.0.1:18789"),
        ("10.0.0.7", [("x-forwarded-for", "203.0.113.9, nonsense, 10.0.0.8")], "10.0.0.8", "http://127.0.0.1:18789"),
        ("10.0.0.7", [], "10.0.0.7", "http://127.0.0.1:18789"),
        ("::ffff:10.0.0.7", [("x-forwarded-for", "203.0.113.9")], "203.0.113.9", "http://127.0.0.1:18789"),
        ("fd00::5", [("x-forwarded-for", "2001:db8::1")], "2001:db8::1", "http://127.0.0.1:18789"),
        # Anyone else who sends them is who they are: nothing of it is read.
        ("192.0.2.1", [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https")], "192.0.2.1", "http://127.0.0.1:18789"),
        ("10.0.1.7", [("x-forwarded-for", "127.0.0.1")], "10.0.1.7", "http://127.0.0.1:18789"),
        ("", [("x-forwarded-for", "127.0.0.1")], "", "http://127.0.0.1:18789"),
    ],
)  # fmt: skip
def test_forwarding_headers_count_from_trusted_proxies_alone(
    peer: str, sent: list[tuple[str, str]], address: str, origin: str
) -> None:
    found = GUARD.arrive(peer, headers(("host", "127.0.0.1:18789"), *sent))
    assert (found.address, str(found.origin)) == (address, origin)


@pytest.mark.parametrize(
    "sent",
    [
        [("x-forwarded-host", "evil.example")],
        [("x-forwarded-host", "bascule.example, evil.example")],
        [("x-forwarded-host", "bascule.example"), ("x-forwarded-host", "localhost:18789")],
        [("x-forwarded-host", "bascule.example"), ("x-forwarded-proto", "http")],
    ],
)
def test_a_trusted_proxy_cannot_make_a_host_ours(sent: list[tuple[str, str]]) -> None:
    with pytest.raises(BasculeError) as refused:
        GUARD.arrive("10.0.0.7", headers(("host", "127.0.0.1:18789"), *sent))
    assert refused.value.code in ("host_unknown", "host_malformed")


@pytest.mark.parametrize("odd", ["https, http", "ftp", "", "HTTPS"])
def test_an_odd_scheme_of_a_proxy(odd: str) -> None:
    found = GUARD.arrive("10.0.0.7", headers(("host", "bascule.example"), ("x-forwarded-proto", odd)))
    assert found.secure, "policy lists this host as https, whatever the proxy mumbles"


@pytest.mark.parametrize("cookie", [True, False])
@pytest.mark.parametrize("origin", ["http://127.0.0.1:18789", "HTTP://127.0.0.1:18789", "https://bascule.example"])
def test_our_own_pages_may_change_things(origin: str, cookie: bool) -> None:
    sent = headers(("origin", origin), ("sec-fetch-site", "same-origin"))
    assert GUARD.check_page("POST", HERE, sent, cookie=cookie) is None


@pytest.mark.parametrize("cookie", [True, False])
@pytest.mark.parametrize(
    "sent",
    [
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("origin", "")],
        [("origin", "http://127.0.0.1:3000")],  # another service of this machine
        [("origin", "http://localhost:18789")],  # ours too, but not the one that was called
        [("origin", "https://127.0.0.1:18789")],
        [("origin", "http://127.0.0.1:18789"), ("origin", "https://evil.example")],
        [("origin", "https://bascule.example.evil")],
        [("origin", "file://")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "")],
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        [("origin", "http://127.0.0.1:18789"), ("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
    ],
)
def test_no_other_page_may_change_anything(sent: list[tuple[str, str]], cookie: bool) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "FOO"):
        with pytest.raises(NotPermitted) as refused:
            GUARD.check_page(method, HERE, headers(*sent), cookie=cookie)
        assert refused.value.code == "origin_foreign"


def test_a_browser_must_say_which_page_it_comes_from_and_a_program_need_not() -> None:
    with pytest.raises(NotPermitted) as refused:
        DIRECT.check_page("POST", HERE, headers(), cookie=True)
    assert refused.value.code == "origin_missing"
    assert DIRECT.check_page("POST", HERE, headers(), cookie=False) is None


@pytest.mark.parametrize(
    ("sent", "fine"),
    [
        ([], True),
        ([("sec-fetch-site", "same-origin")], True),
        ([("sec-fetch-site", "none")], True),
        ([("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], True),
        ([("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], False),
        ([("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")], False),
        ([("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")], False),
        ([("origin", "http://127.0.0.1:3000")], False),
    ],
)
def test_reading_by_cookie_is_for_our_pages_and_for_a_person_who_follows_a_link(
    sent: list[tuple[str, str]], fine: bool
) -> None:
    try:
        DIRECT.check_page("GET", HERE, headers(*sent), cookie=True)
        assert fine
    except NotPermitted:
        assert not fine
    assert DIRECT.check_page("GET", HERE, headers(*sent), cookie=False) is None


def test_methods_that_change_nothing_are_the_ones_we_know() -> None:
    assert {"GET", "HEAD", "OPTIONS"} == SAFE_METHODS


@example(",[")
@given(st.text(max_size=80))
def test_any_text_as_a_host_is_refused_or_read_one_way(text: str) -> None:
    try:
        host, port = parse_authority(text)
    except Malformed:
        return
    named = f"[{host}]" if ":" in host else host
    assert parse_authority(named + ("" if port is None else f":{port}")) == (host, port)
    assert not set(host) & set("@/\\?#% ,")


@given(st.text(max_size=80), st.sampled_from(["192.0.2.1", "127.0.0.1", "10.0.0.7"]))
def test_whatever_is_asked_arrives_at_a_place_policy_knows_or_not_at_all(text: str, peer: str) -> None:
    sent = {b"host": [text.encode("utf-8", "replace")], b"x-forwarded-host": [text.encode("utf-8", "replace")]}
    try:
        found = GUARD.arrive(peer, sent)
    except BasculeError:
        return
    assert found.origin in GUARD.own | GUARD.listed


@given(st.text(max_size=60))
def test_an_origin_reads_back_as_itself(text: str) -> None:
    try:
        place = parse_origin(text)
    except Malformed:
        return
    assert parse_origin(str(place)) == place
