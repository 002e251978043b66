"""The raw bridge in policy: one backend, name servers that can be reached, and a finding nobody overlooks."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import checks, compiled

from bascule.core.errors import Malformed
from bascule.core.finding import Severity

RAW: dict[str, Any] = {"network": "unsafe_bridge", "backend": "docker"}


def raw(**docker: Any) -> dict[str, Any]:
    return {"agents": {"list": [{"id": "a", "sandbox": {**RAW, "docker": docker}}]}}


def test_it_is_critical_and_says_what_it_is() -> None:
    _, findings = compiled(raw())
    (found,) = [finding for finding in findings if finding.check == "sandbox.unsafe_bridge"]
    assert found.severity is Severity.CRITICAL
    assert "no host rule" in found.detail
    assert "sandbox.unsafe_bridge" not in checks({"agents": {"list": [{"id": "a"}]}})


def test_it_is_a_network_of_one_backend() -> None:
    with pytest.raises(Malformed):
        compiled({"agents": {"list": [{"id": "a", "sandbox": {"network": "unsafe_bridge"}}]}})


def test_its_name_servers_are_carried_out() -> None:
    policy, _ = compiled(raw(dns=["9.9.9.9", "8.8.8.8"]))
    (rules,) = policy.agents.values()
    assert rules.sandbox.docker.dns == ("9.9.9.9", "8.8.8.8")


@pytest.mark.parametrize(
    "named",
    [["192.168.1.1"], ["127.0.0.11"], ["169.254.169.253"], ["2620:fe::fe"], ["dns.quad9.net"], ["9.9.9.9"] * 4, ["9.9.9.9", "x"]],
)  # fmt: skip
def test_a_server_nothing_would_reach_is_refused(named: list[str]) -> None:
    with pytest.raises(Malformed, match="dns"):
        compiled(raw(dns=named))


def test_where_the_proxy_resolves_names_dns_is_refused() -> None:
    with pytest.raises(Malformed, match="dns"):
        compiled({"agents": {"list": [{"id": "a", "sandbox": {"backend": "docker", "docker": {"dns": ["9.9.9.9"]}}}]}})


def test_without_host_rules_its_tools_reach_nothing_and_that_is_said_of_the_tools() -> None:
    _, findings = compiled(raw())
    assert [one.detail for one in findings if one.check == "egress.nothing"] == [
        "a: egress names no host, so its tools reach nothing; its programs do"
    ]
