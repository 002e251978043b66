"""``gateway``: what each value becomes, what is refused, and what an operator is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.making import checks, compiled

from bascule.core.errors import Malformed
from bascule.core.finding import Severity
from bascule.core.surfaces import HttpPolicy

AGENTS: dict[str, Any] = {"agents": {"list": [{"id": "a"}]}, "tools": {"allow": ["read"]}}


def http(**section: Any) -> HttpPolicy:
    return compiled({**AGENTS, "gateway": section})[0].http


def found(check: str, **section: Any) -> list[Severity]:
    return [each.severity for each in compiled({**AGENTS, "gateway": section})[1] if each.check == check]


def test_nothing_said_is_loopback() -> None:
    assert compiled(AGENTS)[0].http == HttpPolicy() == http()
    assert HttpPolicy().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("section", "want"),
    [
        ({"port": 1234}, {"port": 1234}),
        ({"bind": "loopback"}, {}),
        ({"bind": "auto"}, {}),
        ({"bind": "tailnet"}, {}),
        ({"bind": "lan"}, {"host": "0.0.0.0"}),
        ({"bind": "custom", "customBindHost": "192.168.1.5"}, {"host": "192.168.1.5"}),
        ({"bind": "tailnet", "customBindHost": "100.64.0.9"}, {"host": "100.64.0.9"}),
        ({"bind": "custom", "customBindHost": "::"}, {"host": "::"}),
        ({"bind": "loopback", "customBindHost": "192.168.1.5"}, {}),
        ({"controlUi": {"enabled": False}}, {"dashboard": False}),
        ({"controlUi": {"basePath": "/bascule"}}, {"base_path": "/bascule"}),
        ({"controlUi": {"basePath": "/"}}, {}),
        ({"controlUi": {"allowedOrigins": ["HTTPS://A.example:8443"]}}, {"origins": ("https://a.example:8443",)}),
        ({"controlUi": {"allowedOrigins": ["https://[fd00::1]"]}}, {"origins": ("https://[fd00::1]",)}),
        ({"controlUi": {"allowedOrigins": ["*"]}}, {}),
        ({"http": {"enabled": False}}, {"enabled": False}),
        ({"http": {"endpoints": {"chatCompletions": {"enabled": False}}}}, {"chat": False}),
        ({"trustedProxies": ["127.0.0.1", "10.1.0.0/24"]}, {"proxies": ("127.0.0.1/32", "10.1.0.0/24")}),
    ],
)
def test_a_value_and_what_it_becomes(section: dict[str, Any], want: dict[str, Any]) -> None:
    base = HttpPolicy()
    assert http(**section) == HttpPolicy(**{name: want.get(name, getattr(base, name)) for name in HttpPolicy.__slots__})


@pytest.mark.parametrize(
    "section",
    [
        {"auth": {"mode": "none"}},
        {"bind": "custom"},
        {"bind": "custom", "customBindHost": "bascule.example"},
        {"bind": "custom", "customBindHost": "fe80::1%eth0"},
        {"bind": "everywhere"},
        {"port": 0},
        {"port": 70000},
        {"controlUi": {"basePath": "bascule"}},
        {"controlUi": {"basePath": "/bascule/"}},
        {"controlUi": {"basePath": "/a/../b"}},
        {"controlUi": {"basePath": "//evil.example"}},
        {"controlUi": {"basePath": "/api"}},
        {"controlUi": {"basePath": "/v1/x"}},
        {"controlUi": {"allowedOrigins": ["a.example"]}},
        {"controlUi": {"allowedOrigins": ["ftp://a.example"]}},
        {"controlUi": {"allowedOrigins": ["https://a.example/"]}},
        {"controlUi": {"allowedOrigins": ["https://u@a.example"]}},
        {"controlUi": {"allowedOrigins": ["https://a.example:99999"]}},
        {"controlUi": {"allowedOrigins": ["https://*.example"]}},
        {"controlUi": {"allowedOrigins": ["null"]}},
        {"controlUi": {"allowedOrigins": ["https://[::1"]}},
        {"controlUi": {"allowedOrigins": ["https://[:::1]"]}},
        {"controlUi": {"allowedOrigins": ["https://\u212a.example"]}},
        {"trustedProxies": ["proxy.example"]},
        {"trustedProxies": ["10.1.0.1/24"]},
        {"trustedProxies": ["0.0.0.0/0"]},
        {"trustedProxies": ["::/0"]},
        {"http": {"endpoints": {"chatCompletions": {"enable": True}}}},
        {"http": {"endpoint": {}}},
    ],
)
def test_what_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refused:
        http(**section)
    assert refused.value.code == "policy_schema"
    assert "gateway" in refused.value.message
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["token", "password"])
def test_a_secret_in_the_file_is_refused_and_a_reference_has_no_effect(key: str) -> None:
    with pytest.raises(Malformed) as refused:
        http(auth={key: "hunter2"})
    assert refused.value.code == "policy_secret"
    assert "hunter2" not in str(refused.value)
    assert "policy.key_inert" in checks({**AGENTS, "gateway": {"auth": {key: "${BASCULE_TOKEN}"}}})


@pytest.mark.parametrize(
    ("section", "severity"),
    [
        ({"bind": "lan"}, [Severity.CRITICAL]),
        ({"bind": "lan", "controlUi": {"allowedOrigins": ["http://192.168.1.5:18789"]}}, [Severity.CRITICAL]),
        ({"bind": "lan", "controlUi": {"allowedOrigins": ["https://a.example"]}}, [Severity.WARN]),
        ({"bind": "lan", "trustedProxies": ["10.0.0.1"]}, [Severity.WARN]),
        ({"bind": "custom", "customBindHost": "192.168.1.5"}, [Severity.CRITICAL]),
        ({"bind": "tailnet", "customBindHost": "100.64.0.9"}, [Severity.CRITICAL]),
        ({"bind": "lan", "http": {"enabled": False}}, []),
        ({"bind": "custom", "customBindHost": "127.0.0.2"}, []),
        ({"bind": "custom", "customBindHost": "::1"}, []),
        ({"bind": "loopback"}, []),
        ({}, []),
    ],
)
def test_a_wider_bind_is_told_of_and_worse_without_https(section: dict[str, Any], severity: list[Severity]) -> None:
    assert found("gateway.bind_exposed", **section) == severity


@pytest.mark.parametrize(
    ("section", "check"),
    [
        ({"bind": "auto"}, "gateway.bind_auto"),
        ({"bind": "tailnet"}, "gateway.bind_tailnet"),
        ({"controlUi": {"allowedOrigins": ["*"]}}, "gateway.control_ui.allowed_origins_wildcard"),
        ({"controlUi": {"allowedOrigins": ["http://a.example"]}}, "gateway.control_ui.plain_http"),
        ({"controlUi": {"basePath": "/bascule"}}, "gateway.control_ui.base_path"),
        ({"controlUi": {"allowedOrigins": ["http://[::2]:8080"]}}, "gateway.control_ui.plain_http"),
        ({"controlUi": {"dangerouslyDisableDeviceAuth": True}}, "config.insecure_or_dangerous_flags"),
        ({"tailscale": {"mode": "funnel"}}, "gateway.tailscale_funnel"),
        ({"tailscale": {"mode": "serve"}}, "gateway.tailscale_serve"),
        ({"auth": {"mode": "password"}}, "gateway.auth_mode"),
        ({"auth": {"mode": "trusted-proxy"}}, "gateway.auth_mode"),
        ({"auth": {"rateLimit": {"exemptLoopback": True}}}, "gateway.auth_loopback_exempt"),
        ({"auth": {"allowTailscale": True}}, "policy.key_inert"),
        ({"allowRealIpFallback": True}, "policy.key_inert"),
        ({"tls": {"enabled": True}}, "policy.key_inert"),
        ({"http": {"endpoints": {"responses": {"enabled": True}}}}, "policy.key_inert"),
    ],
)
def test_a_finding_and_its_absence(section: dict[str, Any], check: str) -> None:
    assert check in checks({**AGENTS, "gateway": section})
    assert check not in checks({**AGENTS, "gateway": {"bind": "loopback", "auth": {"mode": "token"}}})


def test_another_port_of_this_machine_may_be_plain() -> None:
    tunnels = ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"]
    assert found("gateway.control_ui.plain_http", controlUi={"allowedOrigins": tunnels}) == []


def test_the_section_is_carried_out() -> None:
    assert "policy.not_carried_out" not in checks({**AGENTS, "gateway": {"port": 1}})


@given(st.text(max_size=60))
def test_any_text_as_an_origin_is_refused_or_a_plain_address(text: str) -> None:
    try:
        origins = http(controlUi={"allowedOrigins": [text]}).origins
    except Malformed:
        return
    assert origins in ((), (text.lower(),))
    assert not set("@/?#\\ ") & set("".join(origins).partition("://")[2])
