"""The sections that only Bascule has: operators, flow, peers, containment, egress, mcp, quota, examples."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from bascule.policy.schema.base import Count, Name, Names, Number, Section, Text

ClassName = Literal["read", "memory", "compute", "write", "peer", "web", "external", "schedule", "admin"]
EffectName = Literal["allow", "ask", "deny"]
Reader = Literal["public", "private", "local-only"]


class Operator(Section):
    """A person. Chatting and approving are separate rights; neither is given by leaving it out."""

    signal: Names | None = None
    users: Names | None = None
    chats: bool | None = None
    approves: bool | None = None


class FlowRule(Section):
    """What a class of action is, for data of a label. Absent label parts mean any."""

    class_: ClassName = Field(alias="class")
    integrity: Literal["trusted", "untrusted"] | None = None
    confidentiality: Literal["public", "private"] | None = None
    agent: Name | None = None
    effect: EffectName
    reason: Text | None = None


class ModelReader(Section):
    """The highest label a provider's model may read, and where higher context goes."""

    max: Reader
    route: Name | None = None


class Flow(Section):
    """Where data may go."""

    rules: tuple[FlowRule, ...] | None = None
    models: dict[str, ModelReader] | None = None
    agents: dict[str, ModelReader] | None = None
    provenance: Names | None = None


class ReplyField(Section):
    """One field of a typed reply: a choice, a whole number or a yes, so that few bits cross."""

    type: Literal["choice", "integer", "boolean"]
    choices: Names | None = None
    minimum: int | None = None
    maximum: int | None = None


class Peer(Section):
    """Who may write to whom; one direction a row."""

    from_: Name = Field(alias="from")
    to: Name
    send: EffectName | None = None
    history: EffectName | None = None
    spawn: EffectName | None = None
    purpose: Text | None = None
    reply: dict[str, ReplyField] | None = None
    reply_bits_per_day: Count | None = None


class Tripwire(Section):
    """What contains an agent without being asked."""

    on: Name
    count: int = Field(1, ge=1)
    within_seconds: int = Field(3600, ge=1)
    level: Literal["quiet", "tools", "stop"] = "tools"


class Containment(Section):
    """Automatic and manual containment."""

    tripwires: tuple[Tripwire, ...] | None = None
    words: Names | None = None
    notify: Names | None = None


class EgressSearch(Section):
    """Where ``web_search`` asks; a key is named by the environment variable that holds it."""

    provider: Literal["searxng", "brave", "template"]
    url: Name | None = None
    key_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    key_env: Name | None = None
    results: int | None = Field(None, ge=1, le=50)


class EgressRule(Section):
    """Which hosts an agent may reach through the proxy; absent lists reach nothing."""

    allow: Names | None = None
    deny: Names | None = None
    allow_private: Names | None = None
    methods: tuple[Literal["GET", "HEAD", "POST"], ...] | None = None
    max_response_bytes: Count | None = None
    max_request_bytes: Count | None = None
    requests_per_minute: Count | None = None
    connections: int | None = Field(None, ge=1, le=256)
    search: EgressSearch | None = None


class Egress(Section):
    """Egress by domain, for all and per agent."""

    defaults: EgressRule | None = None
    agents: dict[str, EgressRule] | None = None


class McpTool(Section):
    """What a server's tool does, as the operator judges it."""

    class_: ClassName | None = Field(None, alias="class")
    description_sha256: Name | None = Field(None, alias="descriptionSha256")


class McpServer(Section):
    """One boxed tool server, pinned."""

    command: Name
    args: tuple[Text, ...] | None = None
    env: dict[str, Text] | None = None
    sha256: Name | None = Field(None, alias="sha256")
    agents: Names | None = None
    network: Literal["none", "proxy"] | None = None
    tools: dict[str, McpTool] | None = None


class Mcp(Section):
    """Tool servers."""

    servers: dict[str, McpServer] | None = None


class Quota(Section):
    """How much; 0 means not at all."""

    calls_per_minute: Count | None = None
    calls_per_day: Count | None = None
    pending_approvals: Count | None = None


class ForwardTarget(Section):
    """Where approval requests are told about."""

    channel: Name
    to: Name
    account_id: Name | None = None
    thread_id: Name | int | None = None


class Forwarding(Section):
    """OpenClaw's forwarding of approval requests."""

    enabled: bool | None = None
    mode: Literal["session", "targets", "both"] | None = None
    agent_filter: Names | None = None
    session_filter: Names | None = None
    targets: tuple[ForwardTarget, ...] | None = None


class Approvals(Section):
    """How questions are asked, and for how long."""

    timeout_seconds: int | None = Field(None, ge=10, le=7 * 86_400)
    passkey: Literal["off", "risky", "always"] | None = None
    exec_: Forwarding | None = Field(None, alias="exec")
    plugin: Forwarding | None = None


class Lock(Section):
    """Whether the signed manifest of both files must verify before anything runs."""

    required: bool | None = None


class Provider(Section):
    """How a model is reached. A key is named by the environment variable that holds it."""

    kind: Literal["anthropic", "openai", "script", "local"] | None = None
    base_url: Name | None = None
    key_env: Name | None = None
    api: Name | None = None
    models: tuple[Any, ...] | None = None


class Models(Section):
    """Model providers, and the model of agents that name none."""

    mode: Name | None = None
    default: Name | None = None
    providers: dict[str, Provider] | None = None


class Budget(Section):
    """What a run may cost."""

    tokens_per_turn: Count | None = None
    tokens_per_day: Count | None = None
    money_per_day: Number | None = None
    tool_calls_per_turn: Count | None = None


class ExampleCall(Section):
    """A call as an example gives it."""

    agent: Name
    tool: Name
    args: dict[str, Any] | None = None
    session: Name | None = None


class Example(Section):
    """What the operator expects of the policy."""

    call: ExampleCall
    want: EffectName
    code: Name | None = None
    reason: Text | None = None
