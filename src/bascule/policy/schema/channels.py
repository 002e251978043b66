"""``channels``: how people reach an agent. Signal is known in full; the others are carried along without effect."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bascule.policy.schema.base import Count, Name, Names, Number, Opaque, Section, Text
from bascule.policy.schema.tools import ToolLists


class Group(Section):
    """What holds in one Signal group, or in all (``*``)."""

    require_mention: bool | None = None
    enabled: bool | None = None
    tools: ToolLists | None = None
    tools_by_sender: dict[str, ToolLists] | None = None


class Actions(Section):
    """What else than text is sent."""

    reactions: bool | None = None


class Transport(Section):
    """How signal-cli is run or reached."""

    kind: Literal["managed-native", "external-native", "container"] | None = None
    url: Name | None = None
    host: Name | None = None
    port: int | None = Field(None, ge=1, le=65_535)
    cli_path: Name | None = None
    auto_start: bool | None = None


class SignalAccount(Section):
    """One account. Nobody may write unless listed: an open or empty list is said, never assumed."""

    name: Name | None = None
    capabilities: Names | Opaque | None = None
    enabled: bool | None = None
    config_writes: bool | None = None
    account: Name | None = None
    account_uuid: Name | None = None
    transport: Transport | None = None
    http_url: Name | None = None
    http_host: Name | None = None
    http_port: int | None = Field(None, ge=1, le=65_535)
    cli_path: Name | None = None
    auto_start: bool | None = None
    startup_timeout_ms: int | None = Field(None, ge=1000, le=120_000)
    receive_mode: Literal["on-start", "manual"] | None = None
    ignore_attachments: bool | None = None
    ignore_stories: bool | None = None
    send_read_receipts: bool | None = None
    dm_policy: Literal["pairing", "allowlist", "open", "disabled"] | None = None
    allow_from: Names | None = None
    default_to: Name | None = None
    group_allow_from: Names | None = None
    group_policy: Literal["open", "allowlist", "disabled"] | None = None
    context_visibility: Name | None = None
    groups: dict[str, Group] | None = None
    history_limit: Count | None = None
    dm_history_limit: Count | None = None
    dms: Opaque | None = None
    aliases: dict[str, Name] | None = None
    text_chunk_limit: Count | None = None
    chunk_mode: Name | None = None
    media_max_mb: Number | None = None
    reaction_notifications: Name | None = None
    reaction_allowlist: Names | None = None
    reaction_level: Name | None = None
    reply_to_mode: Name | None = None
    actions: Actions | None = None
    heartbeat: Opaque | None = None
    response_prefix: Text | None = None
    markdown: Opaque | None = None

    @model_validator(mode="after")
    def _lists_fit(self) -> Self:
        if self.dm_policy == "open" and "*" not in (self.allow_from or ()):
            raise ValueError('dmPolicy "open" needs "*" in allowFrom, so that nobody opens it by accident')
        if self.dm_policy == "allowlist" and not self.allow_from:
            raise ValueError('dmPolicy "allowlist" needs at least one entry in allowFrom')
        return self


class Signal(SignalAccount):
    """``channels.signal``."""

    accounts: dict[str, SignalAccount] | None = None
    default_account: Name | None = None


class Channels(Section):
    """Every channel OpenClaw names."""

    signal: Signal | None = None
    defaults: Opaque | None = None
    model_by_channel: Opaque | None = None
    whatsapp: Opaque | None = None
    telegram: Opaque | None = None
    discord: Opaque | None = None
    slack: Opaque | None = None
    imessage: Opaque | None = None
    bluebubbles: Opaque | None = None
    matrix: Opaque | None = None
    msteams: Opaque | None = None
    googlechat: Opaque | None = None
    mattermost: Opaque | None = None
    irc: Opaque | None = None
    line: Opaque | None = None
    nostr: Opaque | None = None
    feishu: Opaque | None = None
