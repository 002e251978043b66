"""``channels``: the one Signal account that is carried, compiled; everything else in the section, named.

Stops: an account opening itself by a key that was left out, two spellings of one person, a daemon address that is
really something else, and a key believed in because it was accepted. Does not stop: whoever can reach the daemon's
port from reading and writing as the account; signal-cli asks nobody for a password, so keep it on this machine.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.ids import AgentId
from bascule.core.policy import Operator
from bascule.core.surfaces import GroupRule, SignalPolicy
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.schema.base import Section
from bascule.policy.schema.channels import Channels, Signal, SignalAccount, Transport
from bascule.policy.schema.gateway import Binding
from bascule.policy.schema.root import Config
from bascule.policy.senders import Sender, is_listed, parse_entry, parse_number, parse_uuid

SMALLEST_CHUNK = 200
"""Characters a message must be allowed to have: a card that says where to decide instead needs about that many."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9.-]{0,252}))(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII,
)

_BASE: Path = ("channels", "signal")

_WITHOUT_EFFECT = (
    "capabilities", "startup_timeout_ms", "receive_mode", "ignore_stories", "default_to", "context_visibility",
    "history_limit", "dm_history_limit", "dms", "aliases", "chunk_mode", "media_max_mb", "reaction_notifications",
    "reaction_allowlist", "reaction_level", "reply_to_mode", "actions", "heartbeat", "response_prefix", "markdown",
)  # fmt: skip
"""OpenClaw's keys of an account that mean nothing here: stories are never read, reactions only on cards, and so on."""

_NO_CARRIER = {
    "telegram": "its bots have no end-to-end encryption, so whoever runs it could read and write every approval",
}
_NO_CHANNEL = "Signal is the one messenger of this version"


@dataclass(frozen=True, slots=True)
class _Given:
    """What an account is compiled from: its own section over the shared one, and where each key would stand."""

    base: Signal
    own: SignalAccount
    path: Path
    document: Document

    def get(self, name: str) -> Any:
        """Return the account's own value, else the shared one, else None."""
        value = getattr(self.own, name)
        return getattr(self.base, name) if value is None else value

    def refuse(self, key: str, problem: str, remedy: str = "") -> Malformed:
        """Return the error for a key, placed where it stands."""
        alias = str(SignalAccount.model_fields[key].alias)
        path = next((each for each in ((*self.path, alias), (*_BASE, alias)) if each in self.document.spans), self.path)
        where = self.document.where(path)
        return Malformed("policy_schema", f"{where}: {dotted(path)}: {problem}", remedy)


def signal_policy(
    config: Config,
    document: Document,
    people: Mapping[str, Operator],
    agents: Collection[AgentId],
    default_agent: AgentId,
) -> tuple[SignalPolicy | None, tuple[Finding, ...]]:
    """Return the Signal account to serve, None for none, and what an operator should know about ``channels``.

    Raises:
        Malformed: ``policy_schema``: a number, id, address, size or agent that makes no sense.
    """
    found = [*_others(config.channels, document), *_bindings(config.bindings, document)]
    base = config.channels.signal if config.channels else None
    if base is None or base.enabled is False:
        return None, tuple(found)
    given = _chosen(base, document)
    found += _accounts(given)
    if given.own.enabled is False:
        return None, tuple(found)
    compiled = _account(given, _answering(config, agents, default_agent, document))
    if compiled is None:
        detail = "channels.signal names no account, so Signal is off: a reply must be known to be a reply to us"
        found.append(Finding("channels.signal.no_account", Severity.WARN, detail, "set channels.signal.account: +…"))
        return None, tuple(found)
    return compiled, (*found, *_reach(compiled), *_inert(given), *_people(compiled, people))


def _chosen(base: Signal, document: Document) -> _Given:
    """The default account if one is named; else the shared keys if they name an account; else the first one."""
    accounts = base.accounts if base.accounts is not None else {}
    name = base.default_account
    if name is not None and name not in accounts and accounts:
        where = document.where((*_BASE, "defaultAccount"))
        raise Malformed("policy_schema", f"{where}: channels.signal.defaultAccount names no account")
    if name is None and base.account is None:
        name = next(iter(accounts), None)
    if name is None or name not in accounts:
        return _Given(base, base, _BASE, document)
    return _Given(base, accounts[name], (*_BASE, "accounts", name), document)


def _account(given: _Given, agent: AgentId) -> SignalPolicy | None:
    said_number, said_uuid = given.get("account"), given.get("account_uuid")
    number = parse_number(said_number) if said_number is not None else None
    if said_number is not None and number is None:
        raise given.refuse("account", "is no number", "write +49…")
    uuid = parse_uuid(said_uuid.lower().removeprefix("uuid:")) if said_uuid is not None else None
    if said_uuid is not None and uuid is None:
        raise given.refuse("account_uuid", "is no Signal id")
    if number is None:
        return None
    dm_policy = given.get("dm_policy")
    group_policy = given.get("group_policy")
    allow_from = _entries(given, "allow_from")
    if dm_policy == "open" and "*" not in allow_from:
        raise given.refuse("dm_policy", '"open" needs "*" in allowFrom, so that nobody opens it by accident')
    if dm_policy == "allowlist" and not allow_from:
        raise given.refuse("dm_policy", '"allowlist" needs at least one entry in allowFrom')
    return SignalPolicy(
        account=number,
        account_uuid="" if uuid is None else uuid,
        url=_url(given),
        dm_policy="pairing" if dm_policy is None else dm_policy,
        allow_from=allow_from,
        group_policy="allowlist" if group_policy is None else group_policy,
        group_allow_from=_entries(given, "group_allow_from"),
        groups=_groups(given),
        agent=agent,
        chunk=_chunk(given),
        attachments=given.get("ignore_attachments") is not True,
        read_receipts=given.get("send_read_receipts") is True,
    )


def _entries(given: _Given, key: str) -> tuple[str, ...]:
    listed: tuple[str, ...] | None = given.get(key)
    try:
        return tuple(dict.fromkeys(parse_entry(entry) for entry in listed)) if listed is not None else ()
    except Malformed as refused:
        raise given.refuse(key, refused.message, refused.remedy) from None


def _groups(given: _Given) -> dict[str, GroupRule]:
    groups = given.get("groups")
    return {
        name.strip().removeprefix("signal:").removeprefix("group:"): GroupRule(
            enabled=rule.enabled is not False, require_mention=rule.require_mention is not False
        )
        for name, rule in (groups.items() if groups is not None else ())
    }


def _chunk(given: _Given) -> int:
    limit: int | None = given.get("text_chunk_limit")
    if limit is None:
        return 4000
    if limit < SMALLEST_CHUNK:
        raise given.refuse("text_chunk_limit", f"a message needs room for at least {SMALLEST_CHUNK} characters")
    return limit


def _url(given: _Given) -> str:
    """The daemon's address, the most direct way of saying it first."""
    transport: Transport | None = given.get("transport")
    sections: tuple[Section, ...] = (transport,) if transport is not None else ()
    said = given.get("http_url")
    said = next((each for each in (said, *(getattr(part, "url", None) for part in sections)) if each is not None), None)
    if said is not None:
        return _parsed_url(given, said)
    host = given.get("http_host")
    port = given.get("http_port")
    for part in sections:
        host = getattr(part, "host", None) if host is None else host
        port = getattr(part, "port", None) if port is None else port
    host = "127.0.0.1" if host is None else host
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return _parsed_url(given, f"http://{bracketed}:{8080 if port is None else port}")


def _parsed_url(given: _Given, text: str) -> str:
    found = _URL.fullmatch(text.strip().lower())
    if found is None or not 0 < int(found["port"] or 1) < 65_536:
        raise given.refuse("http_url", f"{text[:80]!r} is not http(s)://host[:port] and nothing more")
    return f"{found['scheme']}://{found['host']}{'' if found['port'] is None else ':' + found['port']}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _answering(config: Config, agents: Collection[AgentId], default: AgentId, document: Document) -> AgentId:
    """The first binding of Signal as a whole names who answers; else the default agent does."""
    for index, binding in enumerate(config.bindings if config.bindings is not None else ()):
        if _binds_signal(binding):
            if binding.agent_id.lower() not in agents:
                where = document.where(("bindings", index, "agentId"))
                raise Malformed("policy_schema", f"{where}: bindings: there is no agent {binding.agent_id[:64]}")
            return AgentId(binding.agent_id.lower())
    return default


def _binds_signal(binding: Binding) -> bool:
    match = binding.match
    return match.channel.lower() == "signal" and match.peer is None and match.account_id in {None, "*", "default"}


def _bindings(bindings: tuple[Binding, ...] | None, document: Document) -> Iterator[Finding]:
    carried = 0
    for index, binding in enumerate(bindings if bindings is not None else ()):
        if _binds_signal(binding) and not carried:
            carried += 1
            continue
        detail = f"{document.where(('bindings', index))}: this binding has no effect: one agent answers on Signal"
        yield Finding("bindings.not_carried", Severity.WARN, detail, "remove it, or keep one for channel signal alone")


def _others(channels: Channels | None, document: Document) -> Iterator[Finding]:
    for name, info in Channels.model_fields.items():
        key = str(info.alias)
        if channels is None or name in {"signal", "defaults", "model_by_channel"} or getattr(channels, name) is None:
            continue
        why = _NO_CARRIER.get(name, _NO_CHANNEL)
        detail = f"{document.where(('channels', key), key=True)}: channels.{key} is not carried: {why}"
        yield Finding(f"channels.{key}.not_carried", Severity.WARN, detail, "use Signal; remove the section")


def _accounts(given: _Given) -> Iterator[Finding]:
    accounts = given.base.accounts if given.base.accounts is not None else {}
    left = [name for name in accounts if (*_BASE, "accounts", name) != given.path]
    if left:
        detail = f"one Signal account is served, {dotted(given.path)}; these are not: {', '.join(left)[:200]}"
        yield Finding("channels.signal.one_account", Severity.WARN, detail, "run a home for each account")


def _reach(signal: SignalPolicy) -> Iterator[Finding]:
    address = _URL.fullmatch(signal.url)
    if address is not None and not _is_loopback(address["host"].strip("[]")):
        plain = address["scheme"] == "http"
        detail = f"{signal.url}: whoever is on the way to signal-cli, or reaches it, writes as {signal.account}"
        severity = Severity.CRITICAL if plain else Severity.WARN
        yield Finding("channels.signal.remote_daemon", severity, detail, "run signal-cli on this machine, on 127.0.0.1")
    if signal.group_policy == "allowlist" and signal.groups and not signal.group_allow_from:
        detail = "channels.signal.groups names groups, and groupAllowFrom is empty: nobody in them is heard"
        yield Finding("channels.signal.groups.nobody", Severity.WARN, detail, "list who may speak in groupAllowFrom")


def _inert(given: _Given) -> Iterator[Finding]:
    transport: Transport | None = given.get("transport")
    managed = given.get("auto_start") is True or given.get("cli_path") is not None
    if transport is not None:
        managed |= transport.kind == "managed-native" or transport.auto_start is True or transport.cli_path is not None
    if managed:
        detail = f"{dotted(given.path)}: autoStart and cliPath have no effect: Bascule starts no signal-cli"
        remedy = f"run it as a service: signal-cli -a {given.get('account')} daemon --http=127.0.0.1:8080"
        yield Finding("channels.signal.managed", Severity.WARN, detail, remedy)
    groups = given.get("groups")
    if any(rule.tools or rule.tools_by_sender for rule in (groups.values() if groups is not None else ())):
        detail = f"{dotted(given.path)}.groups: tools of a group have no effect: an agent's tools are its own"
        yield Finding("channels.signal.group_tools", Severity.WARN, detail, "narrow the agent's tools")
    names = [str(SignalAccount.model_fields[key].alias) for key in _WITHOUT_EFFECT if given.get(key) is not None]
    if names:
        detail = f"{dotted(given.path)}: these keys have no effect: {', '.join(names)}"
        yield Finding("channels.signal.keys_inert", Severity.INFO, detail, "remove them when you no longer need them")


def _people(signal: SignalPolicy, people: Mapping[str, Operator]) -> Iterator[Finding]:
    own = Sender(signal.account, signal.account_uuid)
    for person in people.values():
        if is_listed(own, person.signal):
            detail = f"operators.{person.name}.signal names the account itself; notes to oneself are never commands"
            remedy = "give Bascule a number of its own, and name yours here"
            yield Finding("channels.signal.own_account", Severity.WARN, detail, remedy)
    counted = Counter(entry for person in people.values() for entry in set(person.signal))
    for entry, count in sorted(counted.items()):
        if count > 1:
            detail = f"{entry} is given to {count} operators; who writes from it is nobody until it is given to one"
            yield Finding("channels.signal.two_operators", Severity.CRITICAL, detail, "leave it with one of them")
    if not any(person.approves and person.signal for person in people.values()):
        detail = "no operator who approves has a Signal number, so no question is asked over Signal"
        yield Finding("channels.signal.nobody_approves", Severity.WARN, detail, "set operators.<name>.signal")
