"""``gateway``, ``session``, ``cron``, ``bindings``, ``logging`` and the other top-level sections."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bascule.policy.schema.base import Count, Name, Names, Number, Opaque, Section, Text
from bascule.policy.schema.tools import ToolLists


class RateLimit(Section):
    """Failed logins."""

    max_attempts: Count | None = None
    window_ms: Count | None = None
    lockout_ms: Count | None = None
    exempt_loopback: bool | None = None


class TrustedProxy(Section):
    """A proxy that says who the user is."""

    user_header: Name | None = None
    required_headers: Names | None = None
    allow_users: Names | None = None
    allow_loopback: bool | None = None


class Auth(Section):
    """Who may open the dashboard. Tokens live in the state database; here stands at most the variable's name."""

    mode: Literal["none", "token", "password", "trusted-proxy"] | None = None
    token: Name | None = None
    password: Name | None = None
    allow_tailscale: bool | None = None
    rate_limit: RateLimit | None = None
    trusted_proxy: TrustedProxy | None = None


class ControlUi(Section):
    """The dashboard."""

    enabled: bool | None = None
    base_path: Name | None = None
    root: Name | None = None
    allowed_origins: Names | None = None
    allow_insecure_auth: bool | None = None
    dangerously_disable_device_auth: bool | None = None
    dangerously_allow_host_header_origin_fallback: bool | None = None


class Tailscale(Section):
    """Publishing over Tailscale."""

    mode: Literal["off", "serve", "funnel"] | None = None
    reset_on_exit: bool | None = None


class ChatCompletions(Section):
    """The OpenAI-compatible interface."""

    enabled: bool | None = None
    max_body_bytes: Count | None = None
    images: Opaque | None = None


class Endpoints(Section):
    """What is served besides the pages."""

    chat_completions: ChatCompletions | None = None
    responses: Opaque | None = None


class Http(Section):
    """The HTTP server; ``enabled: false`` serves nothing at all."""

    enabled: bool | None = None
    endpoints: Endpoints | None = None
    allow_session_key_override: bool | None = None
    security_headers: Opaque | None = None


class Gateway(Section):
    """``gateway``: where the trusted process listens."""

    port: int | None = Field(None, ge=1, le=65_535)
    mode: Literal["local", "remote"] | None = None
    bind: Literal["auto", "lan", "loopback", "custom", "tailnet"] | None = None
    custom_bind_host: Name | None = None
    auth: Auth | None = None
    tailscale: Tailscale | None = None
    trusted_proxies: Names | None = None
    allow_real_ip_fallback: bool | None = None
    control_ui: ControlUi | None = None
    tools: ToolLists | None = None
    nodes: Opaque | None = None
    http: Http | None = None
    remote: Opaque | None = None
    reload: Opaque | None = None
    tls: Opaque | None = None


class SessionReset(Section):
    """When a session begins anew."""

    mode: Literal["daily", "idle"] | None = None
    at_hour: int | None = Field(None, ge=0, le=23)
    idle_minutes: Count | None = None


class PingPong(Section):
    """How often agents answer one another unasked."""

    max_ping_pong_turns: int | None = Field(None, ge=0, le=5)


class Session(Section):
    """``session``: how conversations are told apart."""

    scope: Literal["per-sender", "global"] | None = None
    dm_scope: Literal["main", "per-peer", "per-channel-peer", "per-account-channel-peer"] | None = None
    identity_links: dict[str, Names] | None = None
    main_key: Name | None = None
    reset: SessionReset | None = None
    reset_by_type: dict[str, SessionReset] | None = None
    reset_by_channel: dict[str, SessionReset] | None = None
    reset_triggers: Names | None = None
    idle_minutes: Count | None = None
    store: Name | None = None
    typing_mode: Name | None = None
    typing_interval_seconds: Count | None = None
    agent_to_agent: PingPong | None = None
    send_policy: Opaque | None = None
    maintenance: Opaque | None = None


class Job(Section):
    """One scheduled job; it runs in an isolated session under the same gate."""

    id: Name
    agent: Name
    schedule: Name
    timezone: Name | None = None
    message: Text
    enabled: bool | None = None


class Cron(Section):
    """``cron``."""

    enabled: bool | None = None
    jobs: tuple[Job, ...] | None = None
    store: Name | None = None
    max_concurrent_runs: Count | None = None
    session_retention: Name | bool | None = None
    retry: Opaque | None = None
    webhook: Name | None = None
    run_log: Opaque | None = None
    failure_alert: Opaque | None = None
    failure_destination: Opaque | None = None


class PeerMatch(Section):
    """A conversation partner."""

    kind: Literal["direct", "dm", "group", "channel"]
    id: Name


class Match(Section):
    """Which incoming messages a binding means."""

    channel: Name
    account_id: Name | None = None
    peer: PeerMatch | None = None
    guild_id: Name | None = None
    team_id: Name | None = None


class Binding(Section):
    """Who answers which conversation."""

    agent_id: Name
    match: Match
    comment: Text | None = None


class Logging(Section):
    """``logging``. Secrets are always masked."""

    level: Name | None = None
    file: Name | None = None
    max_file_bytes: Count | None = None
    console_level: Name | None = None
    console_style: Literal["pretty", "compact", "json"] | None = None
    redact_sensitive: Literal["off", "tools"] | None = None
    redact_patterns: Names | None = None


class Suppression(Section):
    """A finding the operator has looked at."""

    check: Name
    reason: Text
    until: Name | None = None


class Audit(Section):
    """The checkup."""

    suppressions: tuple[Suppression, ...] | None = None


class Security(Section):
    """``security``."""

    audit: Audit | None = None


class Vacuum(Section):
    """How long records are kept."""

    keep_days: Count | None = None
    max_megabytes: Number | None = None
