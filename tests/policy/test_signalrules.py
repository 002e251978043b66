"""``channels.signal`` compiled: what each key means, what is refused with its place, and what is only told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import PLACES, checks, compiled

from bascule.core.errors import Malformed
from bascule.core.finding import Severity
from bascule.core.surfaces import GroupRule, SignalPolicy
from bascule.policy.compile import compile_policy

NUMBER = "+4915200000001"
UUID = "00000000-0000-4000-8000-00000000000a"
ANN = {"ann": {"signal": ["+49 152 00000002"], "approves": True}}
AGENTS = {"list": [{"id": "main"}, {"id": "web"}]}


def config(signal: Any = None, **more: Any) -> dict[str, Any]:
    channels = {"signal": {"account": NUMBER} | (signal or {})}
    return {"agents": AGENTS, "operators": ANN, "channels": channels} | more


def account(signal: Any = None, **more: Any) -> SignalPolicy:
    found = compiled(config(signal, **more))[0].signal
    assert found is not None
    return found


def test_absent_is_off_and_present_is_strict() -> None:
    assert compiled({"agents": AGENTS})[0].signal is None
    assert compiled(config({"enabled": False}))[0].signal is None
    found = account()
    assert found == SignalPolicy(NUMBER, agent="main")
    assert (found.dm_policy, found.group_policy) == ("pairing", "allowlist")
    assert (found.allow_from, found.group_allow_from, dict(found.groups)) == ((), (), {})


@pytest.mark.parametrize(
    ("signal", "key", "value"),
    [
        ({"account": "+49 (152) 0000-0001"}, "account", NUMBER),
        ({"accountUuid": f"uuid:{UUID.upper()}"}, "account_uuid", UUID),
        ({"allowFrom": ["signal:+49 152 3", "uuid:" + UUID.replace("-", ""), UUID.upper()]}, "allow_from", ("+491523", f"uuid:{UUID}")),
        ({"dmPolicy": "open", "allowFrom": ["*"]}, "dm_policy", "open"),
        ({"groupAllowFrom": ["+491523"]}, "group_allow_from", ("+491523",)),
        ({"groups": {"Ab+/=": {}, "*": {"enabled": False, "requireMention": False}}}, "groups",
         {"Ab+/=": GroupRule(), "*": GroupRule(enabled=False, require_mention=False)}),
        ({"groups": {"signal:group:AbC=": {"requireMention": False}}}, "groups", {"AbC=": GroupRule(require_mention=False)}),
        ({"textChunkLimit": 500}, "chunk", 500),
        ({"ignoreAttachments": True}, "attachments", False),
        ({"sendReadReceipts": True}, "read_receipts", True),
        ({"httpUrl": "http://LOCALHOST:9/"}, "url", "http://localhost:9"),
        ({"httpHost": "::1", "httpPort": 7}, "url", "http://[::1]:7"),
        ({"httpPort": 7}, "url", "http://127.0.0.1:7"),
        ({"transport": {"kind": "external-native", "url": "https://127.0.0.1"}}, "url", "https://127.0.0.1"),
        ({"transport": {"host": "127.0.0.2", "port": 5}}, "url", "http://127.0.0.2:5"),
        ({"httpUrl": "http://127.0.0.1:1", "transport": {"url": "http://127.0.0.1:2"}}, "url", "http://127.0.0.1:1"),
    ],
)  # fmt: skip
def test_what_a_key_means(signal: dict[str, Any], key: str, value: object) -> None:
    assert getattr(account(signal), key) == value


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        ({"account": "me"}, "channels.signal.account: is no number"),
        ({"accountUuid": "1234"}, "channels.signal.accountUuid: is no Signal id"),
        ({"allowFrom": ["abc123"]}, "channels.signal.allowFrom: 'abc123' is no Signal number or id"),
        ({"groupAllowFrom": ["u:name.01"]}, "channels.signal.groupAllowFrom"),
        ({"textChunkLimit": 199}, "channels.signal.textChunkLimit"),
        ({"httpUrl": "ftp://127.0.0.1"}, "channels.signal.httpUrl"),
        ({"httpUrl": "http://a@127.0.0.1"}, "channels.signal.httpUrl"),
        ({"httpUrl": "http://127.0.0.1/api"}, "channels.signal.httpUrl"),
        ({"httpUrl": "http://127.0.0.1:99999"}, "channels.signal.httpUrl"),
        ({"httpUrl": "http://127.0.0.1?x"}, "channels.signal.httpUrl"),
        ({"dmPolicy": "open"}, "dmPolicy"),
        ({"dmPolicy": "allowlist"}, "dmPolicy"),
        (
            {"accounts": {"a": {"account": "x"}}, "defaultAccount": "a"},
            "channels.signal.accounts.a.account: is no number",
        ),
        ({"accounts": {"a": {}}, "defaultAccount": "b"}, "channels.signal.defaultAccount names no account"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(signal: dict[str, Any], says: str) -> None:
    with pytest.raises(Malformed) as refused:
        compiled(config(signal))
    assert refused.value.code == "policy_schema"
    assert "bascule.json5:" in refused.value.message
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("signal", "more", "check"),
    [
        ({"autoStart": True}, {}, "channels.signal.managed"),
        ({"cliPath": "signal-cli"}, {}, "channels.signal.managed"),
        ({"transport": {"kind": "managed-native"}}, {}, "channels.signal.managed"),
        ({"httpUrl": "http://10.0.0.1:1"}, {}, "channels.signal.remote_daemon"),
        ({"httpUrl": "http://signal.example"}, {}, "channels.signal.remote_daemon"),
        ({"historyLimit": 5}, {}, "channels.signal.keys_inert"),
        ({"groups": {"abcd": {"tools": {"allow": []}}}}, {}, "channels.signal.group_tools"),
        ({"groups": {"abcd": {}}}, {}, "channels.signal.groups.nobody"),
        ({"accounts": {"a": {}, "b": {}}}, {}, "channels.signal.one_account"),
        ({"account": "+4915200000002"}, {}, "channels.signal.own_account"),
        ({}, {"operators": {"ann": {"approves": True}}}, "channels.signal.nobody_approves"),
        ({}, {"operators": ANN | {"bob": {"signal": ["+4915200000002"]}}}, "channels.signal.two_operators"),
        ({}, {"bindings": [{"agentId": "web", "match": {"channel": "telegram"}}]}, "bindings.not_carried"),
    ],
)
def test_what_an_operator_is_told(signal: dict[str, Any], more: dict[str, Any], check: str) -> None:
    assert check not in checks(config())
    assert check in checks(config(signal, **more))


def test_telegram_is_not_carried_and_the_finding_says_why() -> None:
    _, findings = compiled({"agents": AGENTS, "channels": {"telegram": {"botToken": "${T}"}, "whatsapp": {}}})
    found = {finding.check: finding for finding in findings}
    assert "no end-to-end encryption" in found["channels.telegram.not_carried"].detail
    assert found["channels.telegram.not_carried"].severity is Severity.WARN
    assert "channels.whatsapp.not_carried" in found
    assert "policy.not_carried_out" not in found


def test_without_an_account_signal_is_off_and_says_so() -> None:
    text = {"agents": AGENTS, "channels": {"signal": {"allowFrom": ["+491523"]}}}
    assert compiled(text)[0].signal is None
    assert "channels.signal.no_account" in checks(text)


def test_one_account_is_taken_over_the_shared_keys() -> None:
    accounts = {"a": {"account": "+491521"}, "b": {"account": "+491522", "allowFrom": ["+491529"]}}
    shared = {"account": None, "httpPort": 9, "allowFrom": ["+491528"], "accounts": accounts}
    first = compiled({"agents": AGENTS, "channels": {"signal": {k: v for k, v in shared.items() if v is not None}}})[
        0
    ].signal
    assert first is not None
    assert (first.account, first.url, first.allow_from) == (
        "+491521",
        "http://127.0.0.1:9",
        ("+491528",),
    )
    named = account({"httpPort": 9, "accounts": accounts, "defaultAccount": "b"})
    assert (named.account, named.url, named.allow_from) == ("+491522", "http://127.0.0.1:9", ("+491529",))
    assert account({"accounts": accounts}).account == NUMBER


def test_a_binding_of_signal_names_who_answers() -> None:
    assert account(bindings=[{"agentId": "web", "match": {"channel": "signal"}}]).agent == "web"
    peer = {"channel": "signal", "peer": {"kind": "direct", "id": "+491523"}}
    assert account(bindings=[{"agentId": "web", "match": peer}]).agent == "main"
    with pytest.raises(Malformed, match="there is no agent"):
        account(bindings=[{"agentId": "gone", "match": {"channel": "signal"}}])


def test_the_open_door_of_an_account_is_refused_where_the_list_is_the_shared_one() -> None:
    accounts = {"a": {"account": "+491521", "dmPolicy": "allowlist", "allowFrom": ["+491529"]}}
    assert account({"accounts": accounts, "defaultAccount": "a", "dmPolicy": "pairing"}).dm_policy == "allowlist"


def test_what_is_compiled_is_the_policy_of_the_files() -> None:
    text = b'{agents: {list: [{id: "main"}]}, channels: {signal: {account: "+4915200000001"}}}'
    policy, _ = compile_policy(text, None, PLACES)
    assert policy.signal is not None
    assert policy.signal.agent == policy.default_agent == "main"
