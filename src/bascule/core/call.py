"""What the model asked, and the same parsed, expanded and frozen.

Stops: what is judged, shown, approved and run being four different things. A call's digest binds agent, session, tool,
canonical arguments, every program with its hash, and the identity of every file whose content the approval is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bascule.core.canonical import Json, digest
from bascule.core.facts import Enforcement
from bascule.core.ids import AgentId, SessionKey
from bascule.core.label import Label
from bascule.core.paths import PathUse
from bascule.core.plan import Plan
from bascule.core.toolspec import ActionClass, ToolSpec

FROM_MODEL = "model"
"""The origin of what a model proposed; everything else was asked for by a person or their script."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A tool call as it came: strings nobody has looked at yet.

    ``origin`` says who asked: :data:`FROM_MODEL`, whose proposals count against the agent's quota, or a verb.
    ``parent`` is the ledger sequence of what led to it (a turn, another call), None for a first cause.
    """

    agent: AgentId
    session: SessionKey
    untrusted_tool: str
    untrusted_args: str
    label: Label
    origin: str = FROM_MODEL
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """What a tool's own parser made of its arguments: the paths it touches, and the plan if it runs programs."""

    paths: tuple[PathUse, ...] = ()
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """An intent after looking things up (globs expanded, programs resolved), and the identities its digest binds."""

    intent: Intent
    bindings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed call. Build with :func:`seal`, which computes the digest."""

    agent: AgentId
    session: SessionKey
    tool: str
    action: ActionClass
    args: Mapping[str, str | int | bool]
    paths: tuple[PathUse, ...]
    plan: Plan | None
    label: Label
    bindings: Mapping[str, str]
    digest: str
    needs: frozenset[Enforcement] = frozenset()
    parent: int | None = None


def seal(
    proposal: Proposal,
    spec: ToolSpec,
    args: Mapping[str, Json],
    intent: Intent,
    bindings: Mapping[str, str],
) -> Call:
    """Freeze a call and compute its digest.

    Args:
        proposal: where it came from.
        spec: the tool.
        args: checked arguments, flat.
        intent: paths and plan.
        bindings: identity of what the call is about, by name (a pre-image's hash, an outside file's inode).
    """
    flat = {key: value for key, value in args.items() if isinstance(value, str | int | bool)}
    programs: list[Json] = []
    if intent.plan is not None:
        for command in intent.plan.commands:
            found = command.program
            programs.append([list(command.argv), found.path if found else "", found.sha256 if found else ""])
    bound = digest(
        {
            "agent": proposal.agent,
            "session": proposal.session,
            "tool": spec.name,
            "args": flat,
            "programs": programs,
            "bindings": dict(bindings),
            "cwd": "/workspace",
        }
    )
    return Call(
        proposal.agent,
        proposal.session,
        spec.name,
        spec.action,
        MappingProxyType(flat),
        intent.paths,
        intent.plan,
        proposal.label,
        MappingProxyType(dict(bindings)),
        bound,
        spec.needs,
        proposal.parent,
    )
