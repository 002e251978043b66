"""The whole file."""

from __future__ import annotations

from pydantic import Field

from bascule.policy.schema.agents import Agents, MemorySearch
from bascule.policy.schema.base import Name, Opaque, Section
from bascule.policy.schema.channels import Channels
from bascule.policy.schema.gateway import Binding, Cron, Gateway, Logging, Security, Session, Vacuum
from bascule.policy.schema.ours import (
    Approvals,
    Budget,
    Containment,
    Egress,
    Example,
    Flow,
    Lock,
    Mcp,
    Models,
    Operator,
    Peer,
    Quota,
)
from bascule.policy.schema.tools import Tools

OURS = frozenset({"operators", "flow", "peers", "containment", "egress", "mcp", "quota", "budget", "lock", "examples"})
"""Sections that OpenClaw does not have."""

INERT = frozenset(
    {
        "acp", "audio", "auth", "broadcast", "browser", "canvasHost", "commands", "discovery", "env", "hooks", "media",
        "messages", "meta", "nodeHost", "plugins", "skills", "talk", "ui", "update", "web", "wizard",
    }
)  # fmt: skip
"""Sections of OpenClaw that mean nothing here: read, reported, never acted on."""


class Config(Section):
    """``bascule.json5``."""

    schema_: Name | None = Field(None, alias="$schema")
    agents: Agents | None = None
    tools: Tools | None = None
    operators: dict[str, Operator] | None = None
    models: Models | None = None
    channels: Channels | None = None
    bindings: tuple[Binding, ...] | None = None
    session: Session | None = None
    gateway: Gateway | None = None
    approvals: Approvals | None = None
    memory_search: MemorySearch | None = None
    cron: Cron | None = None
    logging: Logging | None = None
    security: Security | None = None
    flow: Flow | None = None
    peers: tuple[Peer, ...] | None = None
    containment: Containment | None = None
    egress: Egress | None = None
    mcp: Mcp | None = None
    quota: Quota | None = None
    budget: Budget | None = None
    lock: Lock | None = None
    ledger: Vacuum | None = None
    examples: tuple[Example, ...] | None = None
    acp: Opaque | None = None
    audio: Opaque | None = None
    auth: Opaque | None = None
    broadcast: Opaque | None = None
    browser: Opaque | None = None
    canvas_host: Opaque | None = None
    commands: Opaque | None = None
    discovery: Opaque | None = None
    env: Opaque | None = None
    hooks: Opaque | None = None
    media: Opaque | None = None
    messages: Opaque | None = None
    meta: Opaque | None = None
    node_host: Opaque | None = None
    plugins: Opaque | None = None
    skills: Opaque | None = None
    talk: Opaque | None = None
    ui: Opaque | None = None
    update: Opaque | None = None
    web: Opaque | None = None
    wizard: Opaque | None = None
