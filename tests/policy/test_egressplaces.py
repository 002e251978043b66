"""What no rule can let an agent through to: the gateway, and what acts for its operator."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import checks, compiled

from bascule.core.errors import Malformed
from bascule.core.surfaces import HttpPolicy, SignalPolicy
from bascule.policy.egressplaces import OwnPlace, own_places


def config(*places: str, scope: str = "agents", **more: Any) -> dict[str, Any]:
    rule = {"allowPrivate": list(places)}
    entry = {"id": "a", "sandbox": {"network": "proxy"}}
    egress = {"agents": {"a": rule}} if scope == "agents" else {"defaults": rule}
    return {"agents": {"list": [entry]}, "egress": egress, **more}


def refused(given: dict[str, Any]) -> str:
    try:
        compiled(given)
    except Malformed as error:
        return f"{error.code}: {error}"
    return ""


@pytest.mark.parametrize("scope", ["agents", "defaults"])
@pytest.mark.parametrize(
    "place", ["127.0.0.1:18789", "127.9.9.9:18789", "[::1]:18789", "localhost:18789", "box.home:18789"]
)
def test_the_gateways_own_port_is_never_let_through(place: str, scope: str) -> None:
    told = refused(config(place, scope=scope))
    assert "the gateway's own" in told
    assert told.startswith("policy_schema: ")
    assert "allowPrivate[0]" in told
    assert refused(config(place.replace("18789", "18790"), scope=scope)) == ""


def test_another_machines_port_of_that_number_is_its_own() -> None:
    assert refused(config("192.168.1.9:18789")) == ""
    assert refused(config("192.168.1.9:18789", gateway={"bind": "lan"})) != ""
    tailnet = {"bind": "custom", "customBindHost": "192.168.1.9"}
    assert refused(config("192.168.1.9:18789", gateway=tailnet)) != ""
    assert refused(config("127.0.0.1:18789", gateway=tailnet)) == ""


def test_without_pages_the_port_is_anybodys() -> None:
    assert refused(config("127.0.0.1:18789", gateway={"http": {"enabled": False}})) == ""


@pytest.mark.parametrize(
    ("url", "place", "is_refused"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("http://127.0.0.1:8080", "localhost:8080", True),
        ("http://[::1]:8080", "127.0.0.1:8080", True),
        ("http://localhost:8080", "[::1]:8080", True),
        ("http://localhost:8080", "10.0.0.7:8080", False),
        ("http://10.0.0.7:8080", "10.0.0.7:8080", True),
        ("http://10.0.0.7:8080", "10.0.0.8:8080", False),
        ("http://10.0.0.7", "10.0.0.7:80", True),
        ("https://[fd00::7]", "[fd00::7]:443", True),
        ("http://127.1:8080", "127.0.0.1:8080", True),
        ("http://signal.home:8080", "10.0.0.7:8080", True),
        ("http://127.0.0.1:8080", "127.0.0.1:8081", False),
    ],
)
def test_nor_is_the_signal_daemons(url: str, place: str, is_refused: bool) -> None:
    signal = {"account": "+15555550100", "httpUrl": url}
    told = refused(config(place, channels={"signal": signal}))
    assert ("Signal" in told) is is_refused, told


def test_places_of_both() -> None:
    found = own_places(HttpPolicy(host="::1", port=7), SignalPolicy("+15555550100", url="https://x.test"))
    assert found == (
        OwnPlace("::1", 7, "the gateway's own pages and interfaces"),
        OwnPlace("x.test", 443, "the Signal daemon, which asks nobody"),
    )
    assert own_places(HttpPolicy(enabled=False), None) == ()


def test_rules_for_an_agent_there_is_none_of_are_told() -> None:
    stray = config("10.0.0.7:99")
    stray["egress"]["agents"]["b"] = {"allow": ["x.test"]}
    assert "egress.unknown_agent" in checks(stray)
    assert "egress.unknown_agent" not in checks(config("10.0.0.7:99"))
