"""``tools``: which tools exist, at the global scope and per agent."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bascule.policy.schema.base import Count, Name, Names, Number, Opaque, Section, Text

Profile = Literal["minimal", "coding", "messaging", "full"]


class ToolLists(Section):
    """One scope's lists. ``allow: []`` allows nothing; an absent ``allow`` leaves it to the scope above."""

    allow: Names | None = None
    also_allow: Names | None = None
    deny: Names | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.allow and self.also_allow:
            raise ValueError("cannot set both allow and alsoAllow in the same scope")
        return self


class ProviderTools(ToolLists):
    """Lists that hold while an agent speaks through one provider or model."""

    profile: Profile | None = None


class SandboxTools(Section):
    """The ceiling of sandboxed sessions."""

    tools: ToolLists | None = None


class SubagentTools(Section):
    """What spawned sessions may use."""

    tools: ToolLists | None = None


class SafeBinProfile(Section):
    """OpenClaw's argument rule of a "safe" program; Bascule uses ``args`` in exec-approvals.json."""

    min_positional: Count | None = None
    max_positional: Count | None = None
    allowed_value_flags: Names | None = None
    denied_flags: Names | None = None


class ApplyPatch(Section):
    """OpenClaw's patch tool."""

    enabled: bool | None = None
    workspace_only: bool | None = None
    allow_models: Names | None = None


class Reviewer(Section):
    """A model that looks at commands besides the gate, never instead of it."""

    model: Name | None = None
    timeout_ms: Count | None = None


class Exec(Section):
    """How programs run. The section adds no tool: ``exec`` must be allowed like any other."""

    host: Literal["auto", "sandbox", "gateway", "node"] | None = None
    security: Literal["deny", "allowlist", "full"] | None = None
    ask: Literal["off", "on-miss", "always"] | None = None
    mode: Literal["deny", "allowlist", "ask", "auto", "full"] | None = None
    node: Name | None = None
    path_prepend: Names | None = None
    safe_bins: Names | None = None
    safe_bin_trusted_dirs: Names | None = None
    safe_bin_profiles: dict[str, SafeBinProfile] | None = None
    strict_inline_eval: bool | None = None
    background_ms: Count | None = None
    timeout_sec: Count | None = None
    timeout_seconds: Count | None = None
    cleanup_ms: Count | None = None
    notify_on_exit: bool | None = None
    notify_on_exit_empty_success: bool | None = None
    approval_running_notice_ms: Count | None = None
    command_highlighting: bool | None = None
    apply_patch: ApplyPatch | None = None
    reviewer: Reviewer | None = None


class Fs(Section):
    """The file tools. Outside an agent's directory Bascule asks in any case; true refuses instead."""

    workspace_only: bool | None = None


class Elevated(Section):
    """OpenClaw's way around the sandbox. Bascule has none; the section is read and does nothing."""

    enabled: bool | None = None
    allow_from: dict[str, Names] | None = None


class LoopDetection(Section):
    """When an agent that repeats itself is stopped."""

    enabled: bool | None = None
    history_size: Count | None = None
    warning_threshold: Count | None = None
    critical_threshold: Count | None = None
    global_circuit_breaker_threshold: Count | None = None
    detectors: dict[str, bool] | None = None


class CrossContext(Section):
    """Words to conversations other than the current one."""

    allow_within_provider: bool | None = None
    allow_across_providers: bool | None = None
    marker: Opaque | None = None


class Broadcast(Section):
    """Words to many conversations at once."""

    enabled: bool | None = None


class MessageTool(Section):
    """The ``message`` tool."""

    allow_cross_context_send: bool | None = None
    cross_context: CrossContext | None = None
    broadcast: Broadcast | None = None


class WebSearch(Section):
    """The ``web_search`` tool. Keys come from the environment, never from this file."""

    enabled: bool | None = None
    provider: Name | None = None
    key_env: Name | None = None
    max_results: Count | None = None
    timeout_seconds: Count | None = None
    cache_ttl_minutes: Number | None = None


class WebFetch(Section):
    """The ``web_fetch`` tool."""

    enabled: bool | None = None
    max_chars: Count | None = None
    max_chars_cap: Count | None = None
    max_response_bytes: Count | None = None
    max_redirects: Count | None = None
    timeout_seconds: Count | None = None
    cache_ttl_minutes: Number | None = None
    user_agent: Text | None = None
    readability: bool | None = None


class Web(Section):
    """The web tools."""

    search: WebSearch | None = None
    fetch: WebFetch | None = None


class SessionTools(Section):
    """Which sessions the session tools show."""

    visibility: Literal["self", "tree", "agent", "all"] | None = None


class AgentToAgent(Section):
    """OpenClaw's symmetric switch. ``peers`` is the directed table that decides here; both must agree."""

    enabled: bool | None = None
    allow: Names | None = None


class Attachments(Section):
    """Files handed to a spawned session."""

    enabled: bool | None = None
    max_total_bytes: Count | None = None
    max_files: Count | None = None
    max_file_bytes: Count | None = None
    retain_on_session_keep: bool | None = None


class SessionsSpawn(Section):
    """The ``sessions_spawn`` tool."""

    attachments: Attachments | None = None


class AgentTools(ToolLists):
    """``agents.list[].tools``."""

    profile: Profile | None = None
    by_provider: dict[str, ProviderTools] | None = None
    exec_: Exec | None = Field(None, alias="exec")
    fs: Fs | None = None
    elevated: Elevated | None = None
    loop_detection: LoopDetection | None = None
    sandbox: SandboxTools | None = None
    message: MessageTool | None = None


class Tools(AgentTools):
    """The global ``tools`` section: a ceiling over every agent."""

    subagents: SubagentTools | None = None
    agent_to_agent: AgentToAgent | None = None
    sessions: SessionTools | None = None
    sessions_spawn: SessionsSpawn | None = Field(None, alias="sessions_spawn")
    web: Web | None = None
    media: Opaque | None = None
    links: Opaque | None = None
    tools_by_sender: Opaque | None = None
    code_mode: Opaque | None = None
    github: Opaque | None = None
    update_plan: Opaque | None = None
    experimental: Opaque | None = None
