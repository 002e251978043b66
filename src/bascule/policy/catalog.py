"""Tool names, groups, aliases and profiles, as OpenClaw has them.

Stops: one tool under two names, and a group that means less when it denies than when it allows. Which of these tools
this version carries out is said elsewhere; a name that is known here may always be denied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bascule.core.errors import Malformed
from bascule.core.patterns import tool_pattern_matches

ALIASES: Mapping[str, str] = MappingProxyType(
    {"bash": "exec", "apply-patch": "apply_patch", "view_image": "image", "update-plan": "update_plan"}
)
"""Other spellings. ``view_image`` is what OpenClaw calls ``image`` since August 2026."""

_SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "fs": "read write edit apply_patch",
        "runtime": "exec process code_execution",
        "web": "web_search web_fetch x_search",
        "memory": "memory_search memory_get",
        "sessions": (
            "sessions_list sessions_history sessions_send sessions_spawn sessions_yield subagents session_status"
        ),
        "ui": "browser canvas",
        "messaging": "message",
        "automation": "cron gateway",
        "nodes": "nodes",
        "agents": "agents_list update_plan",
        "media": "image image_generate music_generate video_generate tts",
    }
)

TOOLS: tuple[str, ...] = tuple(name for names in _SECTIONS.values() for name in names.split())
"""The catalogue of OpenClaw 2026.4, in its order."""

_LATER = """
sessions sessions_search conversations_list conversations_send conversations_turn suggest_task dismiss_task screen
dashboard terminal portal show_widget heartbeat_respond computer get_goal create_goal update_goal progress_card ask_user
skill_workshop whatsapp_login
"""

LATER_NAMES: frozenset[str] = frozenset(_LATER.split())
"""Names OpenClaw added afterwards, or that plugins bring; known so that naming them is no mistake."""

_NOT_OPENCLAW = frozenset({"read", "write", "edit", "apply_patch", "exec", "process"})

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {f"group:{name}": tuple(names.split()) for name, names in _SECTIONS.items()}
    | {"group:openclaw": tuple(name for name in TOOLS if name not in _NOT_OPENCLAW)}
)

PROFILES: Mapping[str, tuple[str, ...] | None] = MappingProxyType(
    {
        "minimal": ("session_status",),
        "messaging": ("sessions_list", "sessions_history", "sessions_send", "session_status", "message"),
        "coding": (
            *GROUPS["group:fs"],
            *GROUPS["group:runtime"],
            *GROUPS["group:web"],
            *GROUPS["group:memory"],
            *GROUPS["group:sessions"],
            "cron",
            "update_plan",
            "image",
            "image_generate",
            "music_generate",
            "video_generate",
        ),
        "full": None,
    }
)
"""Tools of a profile; None means every tool, and is meant only where ``full`` is written."""

FOLLOWS: Mapping[str, str] = MappingProxyType({"apply_patch": "write"})
"""A tool that counts as named wherever another is, in allow and in deny lists alike."""

SANDBOX_ALLOW: tuple[str, ...] = (
    "exec", "process", "read", "write", "edit", "apply_patch", "image", "sessions_list", "sessions_history",
    "sessions_send", "sessions_spawn", "sessions_yield", "subagents", "session_status",
)  # fmt: skip
"""What a sandboxed session may use when no list says so."""

CHANNEL_NAMES: tuple[str, ...] = (
    "signal", "whatsapp", "telegram", "discord", "slack", "imessage", "bluebubbles", "matrix", "msteams", "googlechat",
    "mattermost", "irc", "line", "nostr", "feishu",
)  # fmt: skip
SANDBOX_DENY: tuple[str, ...] = ("browser", "canvas", "nodes", "cron", "gateway", *CHANNEL_NAMES)
"""What a sandboxed session may not use unless a list allows it by name."""

SUBAGENT_DENY: tuple[str, ...] = (
    "gateway", "agents_list", "whatsapp_login", "session_status", "cron", "sessions_send",
)  # fmt: skip
"""What no spawned session has, unless ``tools.subagents.tools`` gives it back."""

LEAF_DENY: tuple[str, ...] = ("subagents", "sessions_list", "sessions_history", "sessions_spawn")
"""What a spawned session at the deepest level lacks besides."""


def normalise(name: str) -> str:
    """Return a tool name trimmed, in lower case, with its alias resolved."""
    plain = name.strip().lower()
    return ALIASES.get(plain, plain)


def expand(entries: Iterable[str], bundles: Mapping[str, Collection[str]] | None = None) -> tuple[str, ...]:
    """Return normalised entries with groups replaced by their tools, each once, in order.

    Args:
        entries: names, patterns, ``group:…`` or the name of a bundle.
        bundles: tools of each tool server; ``group:plugins`` and ``group:mcp`` mean all of them.
    """
    servers = bundles if bundles is not None else {}
    found: dict[str, None] = {}
    for entry in entries:
        name = normalise(entry)
        if name in GROUPS:
            members: Iterable[str] = GROUPS[name]
        elif name in {"group:plugins", "group:mcp"}:
            members = (tool for tools in servers.values() for tool in tools)
        else:
            members = servers.get(name, (name,))
        found |= dict.fromkeys(members)
    return tuple(found)


def names(entries: Iterable[str], tool: str) -> bool:
    """True if an expanded list names a tool, itself or by what it follows."""
    wanted = (tool, FOLLOWS[tool]) if tool in FOLLOWS else (tool,)
    return any(tool_pattern_matches(entry, name) for entry in entries for name in wanted)


def profile_tools(profile: str) -> tuple[str, ...] | None:
    """Return the tools of a profile, None for ``full``.

    Raises:
        Malformed: ``policy_schema``, an unknown profile; it never means "everything".
    """
    if profile not in PROFILES:
        raise Malformed("policy_schema", f"there is no tool profile {profile!r}", f"known: {', '.join(PROFILES)}")
    return PROFILES[profile]


@dataclass(frozen=True, slots=True)
class AllowReport:
    """What is odd about an allow list: entries nobody knows, and whether it names tools of servers only."""

    unknown: tuple[str, ...]
    servers_only: bool


def examine_allow(entries: Iterable[str], core: Collection[str], bundles: Mapping[str, Collection[str]]) -> AllowReport:
    """Compare an allow list with the tools there are."""
    written = tuple(normalise(entry) for entry in entries)
    foreign = {tool for tools in bundles.values() for tool in tools}
    unknown = tuple(
        entry
        for entry in written
        if not (entry in bundles or entry in GROUPS or entry in {"group:plugins", "group:mcp"})
        and not any(tool_pattern_matches(entry, tool) for tool in (*core, *foreign))
    )
    known = set(expand(written, bundles)) - set(unknown)
    named_core = any(tool_pattern_matches(entry, tool) for entry in known for tool in core)
    return AllowReport(unknown, bool(known) and not named_core)
