"""Names: agents, sessions, and the shapes of session keys.

Stops: an identifier that is really a path, a sentence or another agent's key. Session keys keep OpenClaw's shapes.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NewType

from bascule.core.errors import Malformed

AgentId = NewType("AgentId", str)
SessionKey = NewType("SessionKey", str)

_AGENT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_SESSION_PART = re.compile(r"[a-z0-9._+@=/-]{1,128}", re.ASCII)


def parse_agent_id(untrusted_id: str) -> AgentId:
    """Return the agent id in lower case.

    Raises:
        Malformed: not 1 to 64 letters, digits, ``_`` or ``-`` beginning with a letter or digit.
    """
    lowered = untrusted_id.lower() if untrusted_id.isascii() else ""
    del untrusted_id
    if not _AGENT_ID.fullmatch(lowered):
        raise Malformed("agent_id", "an agent id is 1 to 64 of a-z 0-9 _ -, beginning with a letter or digit")
    return AgentId(lowered)


class SessionShape(StrEnum):
    """What a session key looks like (OpenClaw's classes)."""

    MISSING = "missing"
    AGENT = "agent"
    MALFORMED_AGENT = "malformed_agent"
    LEGACY_OR_ALIAS = "legacy_or_alias"


def session_shape(key: str | None) -> SessionShape:
    """Classify a session key without accepting it."""
    text = (key or "").strip().lower()
    if not text:
        return SessionShape.MISSING
    parts = text.split(":")
    if parts[0] != "agent":
        return SessionShape.LEGACY_OR_ALIAS
    if len(parts) < 3 or not parts[1] or not all(parts[2:]):
        return SessionShape.MALFORMED_AGENT
    return SessionShape.AGENT


def parse_session_key(untrusted_key: str, agent: AgentId) -> SessionKey:
    """Return the session key in lower case; a bare word ``x`` means ``agent:<agent>:x``.

    Raises:
        Malformed: another agent's key, an empty part, or characters outside ``a-z 0-9 . _ + @ = / -``.
    """
    text = untrusted_key.strip().lower()
    del untrusted_key
    if not text.startswith("agent:"):
        text = f"agent:{agent}:{text}"
    parts = text.split(":")
    if parts[1] != agent:
        raise Malformed("session_key", f"the session belongs to agent {parts[1][:64]!r}, not to {agent}")
    if len(parts) < 3 or len(text) > 256 or not all(_SESSION_PART.fullmatch(part) for part in parts):
        raise Malformed("session_key", "a session key is agent:<id>:<name>, with names of a-z 0-9 . _ + @ = / -")
    return SessionKey(text)


def cli_session(agent: AgentId) -> SessionKey:
    """The session of ``bascule call`` when none is named."""
    return SessionKey(f"agent:{agent}:cli")


def main_session(agent: AgentId) -> SessionKey:
    """The operator's own conversation with an agent."""
    return SessionKey(f"agent:{agent}:main")


def subagent_depth(key: str) -> int:
    """How many spawned levels deep a session is."""
    return key.lower().split(":").count("subagent")


def is_cron(key: str) -> bool:
    """True for the session of a scheduled job."""
    parts = key.lower().split(":")
    return len(parts) > 3 and parts[0] == "agent" and parts[2] == "cron"


def chat_type(key: str) -> str:
    """Return ``direct``, ``group``, ``channel`` or ``unknown`` for a session key (current and older shapes)."""
    text = key.lower()
    parts = text.split(":")
    if parts[0] == "agent":
        parts = parts[2:]
    if "group" in parts or text.endswith("@g.us"):
        return "group"
    if "channel" in parts or any(part.startswith("channel-") for part in parts):
        return "channel"
    if "direct" in parts or "dm" in parts:
        return "direct"
    return "unknown"
