"""``egress`` read from a file: what it names is reached, and what it leaves out is not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import checks, compiled, one

from bascule.core.errors import Malformed
from bascule.core.policy import AgentPolicy
from bascule.core.reach import Destination, HostRule, Names, PrivatePlace, reach
from bascule.policy.diff import diff_policies
from bascule.policy.egressrules import parse_private, parse_rule
from bascule.policy.explain import explain_network

WEB = frozenset({80, 443})


def config(egress: Any = None, **sandbox: Any) -> dict[str, Any]:
    entry = {"id": "a", "sandbox": {"network": "proxy", **sandbox}}
    return {"agents": {"list": [entry]}} | ({"egress": egress} if egress is not None else {})


def agent(egress: Any = None, **sandbox: Any) -> AgentPolicy:
    return next(iter(compiled(config(egress, **sandbox))[0].agents.values()))


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("example.org", (Names.EXACT, "example.org", WEB, "", "")),
        ("EXAMPLE.org.", (Names.EXACT, "example.org", WEB, "", "")),
        ("example.org:8443", (Names.EXACT, "example.org", frozenset({8443}), "", "")),
        ("*.example.org", (Names.BELOW, "example.org", WEB, "", "")),
        ("*", (Names.PUBLIC, "", WEB, "", "")),
        ("*:8443", (Names.PUBLIC, "", frozenset({8443}), "", "")),
        ("https://example.org", (Names.EXACT, "example.org", frozenset({443}), "https", "")),
        ("https://example.org/", (Names.EXACT, "example.org", frozenset({443}), "https", "")),
        ("http://*.example.org:81/a/b", (Names.BELOW, "example.org", frozenset({81}), "http", "/a/b")),
    ],
)
def test_rules(written: str, rule: tuple[Any, ...]) -> None:
    assert parse_rule(written) == HostRule(written, *rule)


@pytest.mark.parametrize(
    "written",
    [
        "", "*.", "*.org", "**.example.org", "a*.example.org", "*example.org", "example.*", "example.org/path", "ftp://example.org",
        "HTTPS://example.org", "127.0.0.1", "[::1]", "10.0.0.0/8", "2130706433", "0x7f.1", "u@example.org", "https://u@example.org",
        "example.org:", "example.org:0", "example.org:99999", "example.org:80-90", "bücher.example", "https://example.org/../x",
        "https://example.org/%61", "https://example.org/a//b", "https://example.org/a?b", "https://example.org#a", "example.org ",
        "https://", "://example.org", "https:/example.org",
    ],
)  # fmt: skip
def test_what_is_no_rule(written: str) -> None:
    with pytest.raises(Malformed):
        parse_rule(written)
    if written:
        with pytest.raises(Malformed) as refused:
            compiled(config({"defaults": {"deny": [written]}}))
        assert refused.value.code == "policy_schema"
        assert "egress.defaults.deny[0]" in refused.value.message


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("localhost:8099", PrivatePlace("localhost", 8099)),
        ("test.example:80", PrivatePlace("test.example", 80)),
        ("127.0.0.1:8099", PrivatePlace("127.0.0.1", 8099)),
        ("[::1]:8099", PrivatePlace("::1", 8099)),
    ],
)
def test_private_places(written: str, place: PrivatePlace) -> None:
    assert parse_private(written) == place


@pytest.mark.parametrize(
    "written",
    ["", "localhost", "*:80", "*.lan:80", "127.0.0.1", "127.1:80", "0x7f000001:80", "::1:80", "[::0001]:80", "127.0.0.0/8:80",
     "localhost:0", "[127.0.0.1]:80", "http://localhost:80", "[fe80::1%lo]:80", "169.254.169.254:80", "[fe80::1]:80", "0.0.0.0:80", "[fd00:ec2::254]:80"],
)  # fmt: skip
def test_what_is_no_private_place(written: str) -> None:
    with pytest.raises(Malformed):
        parse_private(written)


def test_nothing_is_reached_by_omission() -> None:
    for egress in (None, {}, {"defaults": {}}, {"agents": {"b": {"allow": ["*"]}}}, {"defaults": {"allow": []}}):
        rules = agent(egress).egress
        assert rules.allow == ()
        assert not reach(Destination("example.org", 443), rules).allowed
        assert "egress.nothing" in checks(config(egress))


def test_an_agents_list_stands_in_place_of_the_shared_one_and_denials_add_up() -> None:
    egress = {
        "defaults": {"allow": ["shared.test"], "deny": ["bad.test"], "methods": ["GET"], "requestsPerMinute": 5},
        "agents": {"a": {"allow": ["own.test"], "deny": ["worse.test"], "requestsPerMinute": 9, "maxResponseBytes": 7}},
    }
    rules = agent(egress).egress
    assert [rule.written for rule in rules.allow] == ["own.test"]
    assert [rule.written for rule in rules.deny] == ["bad.test", "worse.test"]
    assert (rules.methods, rules.requests_per_minute, rules.max_response_bytes) == (frozenset({"GET"}), 5, 7)
    assert rules.where == "egress.agents.a"
    assert [
        rule.written for rule in agent({"agents": {"a": {"allow": []}}, "defaults": {"allow": ["x.test"]}}).egress.allow
    ] == []


def test_a_bridge_is_an_open_proxy_unless_hosts_are_named() -> None:
    bridged = {"network": "proxy", "docker": {"network": "bridge"}}
    open_one = one(sandbox={"docker": {"network": "bridge"}})
    assert open_one.sandbox.network == "proxy"
    assert reach(Destination("example.org", 443), open_one.egress).allowed
    assert not reach(Destination("example.org", 22), open_one.egress).allowed
    assert not reach(Destination("localhost", 443), open_one.egress).allowed
    found = checks({"agents": {"list": [{"id": "a", "sandbox": {"docker": {"network": "bridge"}}}]}})
    assert {"egress.bridge_as_proxy", "egress.every_host"} <= found
    assert agent(None, **bridged).egress.allow == ()  # both keys speak, and the tighter one is a proxy
    named = {
        "agents": {"list": [{"id": "a", "sandbox": {"docker": {"network": "bridge"}}}]},
        "egress": {"defaults": {"allow": ["x.test"]}},
    }
    policy, _ = compiled(named)
    assert [rule.written for rule in next(iter(policy.agents.values())).egress.allow] == ["x.test"]


def test_a_raw_bridge_has_one_name_and_one_backend() -> None:
    raw = {"agents": {"list": [{"id": "a", "sandbox": {"network": "unsafe_bridge", "backend": "docker"}}]}}
    assert "sandbox.unsafe_bridge" in checks(raw)
    assert next(iter(compiled(raw)[0].agents.values())).sandbox.network == "unsafe_bridge"
    with pytest.raises(Malformed):
        agent(network="unsafe_bridge")


def test_findings_about_what_reaches_far_and_what_reaches_nothing() -> None:
    assert "egress.every_host" in checks(config({"defaults": {"allow": ["*"]}}))
    assert "egress.private" in checks(config({"agents": {"a": {"allowPrivate": ["localhost:8099"]}}}))
    assert "egress.no_network" in checks(config({"defaults": {"allow": ["x.test"]}}, network="none"))
    assert not {"egress.every_host", "egress.nothing"} & checks(config({"defaults": {"allow": ["x.test"]}}))


@pytest.mark.parametrize(
    ("search", "template", "key"),
    [
        (
            {"provider": "searxng", "url": "http://127.0.0.1:8888/"},
            "http://127.0.0.1:8888/search?q={query}&format=json",
            "",
        ),
        (
            {"provider": "brave"},
            "https://api.search.brave.com/res/v1/web/search?q={query}&count={count}",
            "BRAVE_API_KEY",
        ),
        (
            {"provider": "template", "url": "https://s.test/?q={query}", "keyHeader": "X-K", "keyEnv": "K"},
            "https://s.test/?q={query}",
            "K",
        ),
    ],
)
def test_where_searches_go(search: Any, template: str, key: str) -> None:
    found = agent({"agents": {"a": {"search": search}}}).egress.search
    assert (found.template, found.key_env, bool(found.key_header)) == (template, key, bool(key))


@pytest.mark.parametrize(
    "search",
    [
        {"provider": "searxng"}, {"provider": "template", "url": "https://s.test/"}, {"provider": "template", "url": "file:///{query}"},
        {"provider": "template", "url": "https://{query}.test/?q={query}"}, {"provider": "template", "url": "https://s.test/?q={query}", "keyEnv": "K"},
        {"provider": "brave", "keyHeader": "X: y"}, {"provider": "google"}, {"provider": "template", "url": "https://s.test/{query}?q=x"},
    ],
)  # fmt: skip
def test_what_is_no_search(search: Any) -> None:
    with pytest.raises(Malformed):
        agent({"agents": {"a": {"search": search}}})


def test_a_difference_says_which_way_it_goes() -> None:
    old = compiled(config({"defaults": {"allow": ["x.test"], "deny": ["y.test"]}}))[0]
    new = compiled(
        config({"defaults": {"allow": ["z.test"], "allowPrivate": ["localhost:1"], "requestsPerMinute": 1}})
    )[0]
    found = {
        (str(change.direction), change.subject, change.before or change.after) for change in diff_policies(old, new)
    }
    assert found == {
        ("wider", "egress.allow", "z.test"), ("narrower", "egress.allow", "x.test"), ("wider", "egress.deny", "y.test"),
        ("wider", "egress.allowPrivate", "localhost:1"), ("narrower", "egress requests_per_minute", "120"),
    }  # fmt: skip


def test_explaining_names_what_is_reached_and_the_key() -> None:
    lines = explain_network(
        agent({"agents": {"a": {"allow": ["x.test"], "deny": ["y.x.test"], "allowPrivate": ["localhost:1"]}}})
    )
    text = "\n".join(lines)
    for part in ("proxy", "x.test, by egress.agents.a.allow", "never: y.x.test", "localhost port 1", "120 requests"):
        assert part in text
    assert explain_network(agent(network="none")) == ("network: none, by sandbox.network or sandbox.docker.network",)


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ({}, True),
        ({"allow": ["search.test"]}, False),
        ({"allow": ["search.test"], "deny": ["search.test"]}, True),
        ({"allow": ["search.test"], "methods": ["POST"]}, True),
        ({"allow": ["https://search.test/other"]}, True),
    ],
)
def test_a_search_that_its_own_rules_would_refuse_is_told(rules: Any, found: bool) -> None:
    search = {"provider": "searxng", "url": "https://search.test/"}
    given = config({"agents": {"a": {"allow": ["x.test"], "search": search, **rules}}})
    assert ("egress.search_host" in checks(given)) is found


def test_a_search_at_this_machine_must_be_named_with_its_port() -> None:
    search = {"provider": "searxng", "url": "http://127.0.0.1:8888"}
    assert "egress.search_host" in checks(config({"defaults": {"search": search}}))
    assert "egress.search_host" not in checks(
        config({"defaults": {"search": search, "allowPrivate": ["127.0.0.1:8888"]}})
    )
    assert "egress.search_host" not in checks(config({"defaults": {"search": search}}, network="none"))
