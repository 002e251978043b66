"""``agents``: who there is, and what they share."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bascule.core.errors import Malformed
from bascule.core.ids import parse_agent_id
from bascule.policy.schema.base import Count, Name, Names, Number, Opaque, Section, Text
from bascule.policy.schema.ours import Quota
from bascule.policy.schema.sandbox import Sandbox
from bascule.policy.schema.tools import AgentTools


def _agent_id(text: str) -> str:
    try:
        return parse_agent_id(text)
    except Malformed as refused:
        raise ValueError(refused.message) from None


def _lower_case_id(text: str) -> str:
    if _agent_id(text) != text:
        raise ValueError("write agent ids in lower case, so that one agent cannot have two sections")
    return text


AgentName = Annotated[str, AfterValidator(_agent_id)]
AgentKey = Annotated[str, AfterValidator(_lower_case_id)]


class ModelChoice(Section):
    """A model and what to use when it does not answer."""

    primary: Name | None = None
    fallbacks: Names | None = None


class Subagents(Section):
    """Limits on spawned sessions."""

    allow_agents: Names | None = None
    max_concurrent: Count | None = None
    max_spawn_depth: int | None = Field(None, ge=1, le=5)
    max_children_per_agent: int | None = Field(None, ge=1, le=20)
    archive_after_minutes: Count | None = None
    model: Name | ModelChoice | None = None
    thinking: Name | None = None
    run_timeout_seconds: Count | None = None
    announce_timeout_ms: Count | None = None
    require_agent_id: bool | None = None


class ActiveHours(Section):
    """When heartbeats are sent."""

    start: Name | None = None
    end: Name | None = None
    timezone: Name | None = None


class Heartbeat(Section):
    """A message to the agent at intervals."""

    every: Name | None = None
    active_hours: ActiveHours | None = None
    model: Name | None = None
    session: Name | None = None
    target: Name | None = None
    direct_policy: Literal["allow", "block"] | None = None
    to: Name | None = None
    account_id: Name | None = None
    prompt: Text | None = None
    ack_max_chars: Count | None = None
    include_reasoning: bool | None = None
    light_context: bool | None = None
    isolated_session: bool | None = None
    suppress_tool_error_warnings: bool | None = None


class MemoryQuery(Section):
    """How many results, how good."""

    max_results: Count | None = None
    min_score: Number | None = None
    hybrid: Opaque | None = None


class Chunking(Section):
    """Size of a chunk and how far chunks overlap, in tokens."""

    tokens: Count | None = None
    overlap: Count | None = None


class MemorySearch(Section):
    """``memorySearch``: an agent's index. Embeddings are local."""

    enabled: bool | None = None
    sources: tuple[Literal["memory", "sessions"], ...] | None = None
    extra_paths: Names | None = None
    provider: Name | None = None
    fallback: Name | None = None
    model: Name | None = None
    local: Opaque | None = None
    remote: Opaque | None = None
    store: Opaque | None = None
    chunking: Chunking | None = None
    query: MemoryQuery | None = None
    sync: Opaque | None = None
    cache: Opaque | None = None
    experimental: Opaque | None = None
    qmd: Opaque | None = None
    multimodal: Opaque | None = None


class Shared(Section):
    """What defaults and single agents have in common."""

    model: Name | ModelChoice | None = None
    workspace: Name | None = None
    skills: Names | None = None
    memory_search: MemorySearch | None = None
    heartbeat: Heartbeat | None = None
    sandbox: Sandbox | None = None
    prompts: Names | None = None
    quota: Quota | None = None
    params: Opaque | None = None
    human_delay: Opaque | None = None


class Defaults(Shared):
    """``agents.defaults``."""

    subagents: Subagents | None = None
    models: Opaque | None = None
    image_model: Name | ModelChoice | None = None
    repo_root: Name | None = None
    skip_bootstrap: bool | None = None
    bootstrap_max_chars: Count | None = None
    bootstrap_total_max_chars: Count | None = None
    user_timezone: Name | None = None
    time_format: Name | None = None
    envelope_timezone: Name | None = None
    context_injection: Name | None = None
    context_tokens: Count | None = None
    context_pruning: Opaque | None = None
    compaction: Opaque | None = None
    cli_backends: Opaque | None = None
    thinking_default: Name | None = None
    verbose_default: Name | None = None
    elevated_default: Name | None = None
    block_streaming_default: Name | None = None
    block_streaming_break: Name | None = None
    block_streaming_chunk: Opaque | None = None
    block_streaming_coalesce: Opaque | None = None
    timeout_seconds: Count | None = None
    media_max_mb: Number | None = None
    typing_mode: Name | None = None
    typing_interval_seconds: Count | None = None
    max_concurrent: Count | None = None


class Entry(Shared):
    """One agent, without its id: ``agents.entries.<id>``."""

    default: bool | None = None
    name: Name | None = None
    agent_dir: Name | None = None
    system_prompt_override: Text | None = None
    subagents: Subagents | None = None
    identity: Opaque | None = None
    group_chat: Opaque | None = None
    tools: AgentTools | None = None
    runtime: Opaque | None = None


class Listed(Entry):
    """One agent of ``agents.list[]``."""

    id: AgentName


class Agents(Section):
    """``agents``: either the list or the newer map, never both."""

    ownership: Name | None = None
    defaults: Defaults | None = None
    list_: tuple[Listed, ...] | None = Field(None, alias="list")
    entries: dict[AgentKey, Entry] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.list_ is not None and self.entries is not None:
            raise ValueError("agents are given twice: keep either list or entries")
        names = [agent.id for agent in self.list_ or ()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the agent {twice} stands twice in the list")
        return self
