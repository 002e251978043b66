"""The rules for where an agent may connect, as tables and as laws."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.hosts import parse_url
from bascule.core.reach import (
    Destination,
    EgressPolicy,
    HostRule,
    Names,
    PrivatePlace,
    advice,
    destination,
    reach,
    widest,
)


def exact(host: str, *ports: int, scheme: str = "", path: str = "") -> HostRule:
    rule = HostRule(host, Names.EXACT, host, scheme=scheme, path=path)
    return replace(rule, ports=frozenset(ports)) if ports else rule


def below(host: str) -> HostRule:
    return HostRule(f"*.{host}", Names.BELOW, host)


PUBLIC = HostRule("*", Names.PUBLIC)


def get(url: str, method: str = "GET") -> Destination:
    return destination(parse_url(url, literals=frozenset({"127.0.0.1"})), method)


def tunnel(host: str, port: int = 443) -> Destination:
    return Destination(host, port)


OPEN = EgressPolicy(allow=(PUBLIC,))
NARROW = EgressPolicy(
    allow=(exact("example.org"), below("example.net"), exact("git.example.com", 22), exact("s.example.com", 8443, scheme="https"),
           exact("docs.example.com", 443, scheme="https", path="/v1"), exact("plain.example.com", 80, scheme="http")),
    deny=(exact("bad.example.net"), exact("example.org", path="/admin")),
)  # fmt: skip

TABLE = [
    (NARROW, get("https://example.org/"), "ok"),
    (NARROW, get("http://example.org/x"), "ok"),
    (NARROW, get("https://www.example.org/"), "host_not_listed"),
    (NARROW, get("https://example.org.evil.test/"), "host_not_listed"),
    (NARROW, get("https://notexample.org/"), "host_not_listed"),
    (NARROW, get("https://example.org:8443/"), "host_not_listed"),
    (NARROW, get("https://a.b.example.net/"), "ok"),
    (NARROW, get("https://example.net/"), "host_not_listed"),
    (NARROW, get("https://xexample.net/"), "host_not_listed"),
    (NARROW, get("https://bad.example.net/"), "host_denied"),
    (NARROW, get("https://example.org/", "POST"), "method_not_listed"),
    (NARROW, get("https://example.org/", "HEAD"), "ok"),
    (NARROW, get("https://example.org/", "get"), "method_not_listed"),
    (NARROW, get("https://docs.example.com/v1"), "ok"),
    (NARROW, get("https://docs.example.com/v1/a?b"), "ok"),
    (NARROW, get("https://docs.example.com/v12"), "host_not_listed"),
    (NARROW, get("https://docs.example.com/V1/"), "host_not_listed"),
    (NARROW, get("https://docs.example.com/v1//x"), "host_not_listed"),
    (NARROW, get("https://docs.example.com/v1/%2e%2e%2fadmin"), "host_not_listed"),
    (NARROW, get("https://docs.example.com/v1/..;/admin"), "host_not_listed"),
    (NARROW, get("https://docs.example.com/v1%2fx"), "host_not_listed"),
    (NARROW, get("http://docs.example.com/v1/"), "host_not_listed"),
    (NARROW, get("https://example.org/admin"), "host_denied"),
    (NARROW, get("https://example.org/ADMIN/x"), "host_denied"),
    (NARROW, get("https://example.org/%61dmin/x"), "host_denied"),
    (NARROW, get("https://example.org/a%2fb"), "host_denied"),
    (NARROW, get("https://example.org/a//admin"), "host_denied"),
    (NARROW, get("https://example.org/administration"), "ok"),
    (NARROW, get("http://plain.example.com/"), "ok"),
    (NARROW, tunnel("plain.example.com"), "host_not_listed"),
    (NARROW, tunnel("a.example.net"), "ok"),
    (NARROW, tunnel("bad.example.net"), "host_denied"),
    (NARROW, tunnel("example.org"), "host_denied"),  # nobody sees the path of a tunnel, so its deny rule covers all
    (NARROW, tunnel("docs.example.com"), "host_not_listed"),
    (NARROW, tunnel("a.example.net", 80), "tunnel_plain"),
    (NARROW, tunnel("git.example.com", 22), "ok"),
    (NARROW, tunnel("git.example.com"), "host_not_listed"),
    (NARROW, tunnel("s.example.com", 8443), "ok"),
    (OPEN, get("https://anything.test/"), "ok"),
    (OPEN, tunnel("anything.test"), "ok"),
    (OPEN, tunnel("anything.test", 22), "host_not_listed"),
    (OPEN, get("http://anything.test:8080/"), "host_not_listed"),
    (OPEN, get("http://localhost/"), "host_local"),
    (OPEN, get("http://metadata.google.internal/"), "host_local"),
    (OPEN, get("http://router/"), "host_local"),
    (EgressPolicy(), get("https://example.org/"), "host_not_listed"),
    (EgressPolicy(), tunnel("example.org"), "host_not_listed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "wanted", "code"), TABLE, ids=lambda value: value if isinstance(value, str) else None
)
def test_what_the_rules_say(policy: EgressPolicy, wanted: Destination, code: str) -> None:
    ruling = reach(wanted, policy)
    assert ruling.code == code
    assert ruling.allowed is (code == "ok")
    assert ruling.reason
    assert bool(ruling.rule) is (code in {"ok", "host_denied"})


def test_a_tunnel_that_should_be_tls_is_held_to_it() -> None:
    assert reach(tunnel("a.example.net"), NARROW).tls
    assert reach(tunnel("s.example.com", 8443), NARROW).tls
    assert not reach(tunnel("git.example.com", 22), NARROW).tls


def test_a_private_place_is_one_host_and_one_port() -> None:
    policy = EgressPolicy(private=(PrivatePlace("localhost", 8099), PrivatePlace("127.0.0.1", 8099)))
    assert policy.literals == {"127.0.0.1"}
    for host in ("localhost", "127.0.0.1"):
        assert reach(get(f"http://{host}:8099/"), policy).private
        assert reach(tunnel(host, 8099), policy).allowed
        assert not reach(get(f"http://{host}:8098/"), policy).allowed
    assert not reach(get("http://localhost:8099/", "POST"), policy).allowed
    denied = replace(policy, deny=(exact("localhost", 8099),))
    assert reach(get("http://localhost:8099/"), denied).code == "host_denied"
    assert not reach(get("http://127.0.0.1/"), replace(policy, allow=(PUBLIC,))).allowed


def test_the_widest_rule_is_known() -> None:
    assert widest(OPEN.allow)
    assert not widest(NARROW.allow)


hosts = st.sampled_from(["example.org", "a.example.org", "b.a.example.org", "example.net", "localhost", "x.local"])
ports = st.sampled_from([22, 80, 443, 8443])
paths = st.sampled_from(["", "/", "/a", "/a/b", "/A", "/a%2fb", "/b//"])
rules = st.builds(
    HostRule,
    st.just("rule"),
    st.sampled_from(list(Names)),
    hosts,
    st.frozensets(ports, min_size=1),
    st.sampled_from(["", "http", "https"]),
    st.sampled_from(["", "/a", "/b/"]),
)
wanteds = st.one_of(
    st.builds(Destination, hosts, ports),
    st.builds(
        Destination,
        hosts,
        ports,
        st.sampled_from(["http", "https"]),
        st.sampled_from(["GET", "POST"]),
        paths.filter(bool),
    ),
)
policies = st.builds(
    EgressPolicy,
    st.lists(rules, max_size=4).map(tuple),
    st.lists(rules, max_size=3).map(tuple),
    st.sampled_from([frozenset({"GET"}), frozenset({"GET", "POST"}), frozenset()]),
    st.lists(st.builds(PrivatePlace, hosts, ports), max_size=2).map(tuple),
)


@given(policies, rules, wanteds)
def test_a_deny_rule_never_allows_more(policy: EgressPolicy, rule: HostRule, wanted: Destination) -> None:
    more = replace(policy, deny=(*policy.deny, rule))
    assert reach(wanted, policy).allowed or not reach(wanted, more).allowed


@given(policies, rules, wanteds)
def test_an_allow_rule_never_allows_less(policy: EgressPolicy, rule: HostRule, wanted: Destination) -> None:
    more = replace(policy, allow=(*policy.allow, rule))
    assert not reach(wanted, policy).allowed or reach(wanted, more).allowed


@given(policies, wanteds)
def test_without_a_rule_nothing_is_reached(policy: EgressPolicy, wanted: Destination) -> None:
    assert not reach(wanted, replace(policy, allow=(), private=())).allowed


@given(policies, wanteds)
def test_the_order_of_rules_means_nothing(policy: EgressPolicy, wanted: Destination) -> None:
    turned = replace(policy, allow=policy.allow[::-1], deny=policy.deny[::-1])
    assert reach(wanted, turned).allowed is reach(wanted, policy).allowed


@given(policies, wanteds)
def test_a_local_name_needs_its_own_line(policy: EgressPolicy, wanted: Destination) -> None:
    if wanted.host in ("localhost", "x.local") and reach(wanted, policy).allowed:
        assert PrivatePlace(wanted.host, wanted.port) in policy.private


@pytest.mark.parametrize(
    ("host", "port", "key"),
    [
        ("evil.test", 443, "egress.agents.a.allow,"),
        ("nas.local", 443, "egress.agents.a.allowPrivate,"),
        ("bad.test", 443, "egress.agents.a.deny or"),
    ],
)
def test_a_refusal_names_the_key_that_changes_it(host: str, port: int, key: str) -> None:
    rules = EgressPolicy(deny=(HostRule("bad.test", Names.EXACT, "bad.test"),), where="egress.agents.a")
    ruling = reach(Destination(host, port), rules)
    assert not ruling.allowed
    assert key in advice(ruling, rules)
