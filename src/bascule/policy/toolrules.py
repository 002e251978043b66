"""Which tools an agent has, and which key says no: OpenClaw's scopes, read strictly.

Stops: a scope widening another. Every scope only filters what is left; deny wins wherever it stands; ``allow: []``
allows nothing; a tool that no profile and no allow list names is not there; a section that merely configures a tool
does not add it. One value of ``profile`` counts, the agent's or else the global one, because a profile is a starting
point and not a list. Does not stop a tool that is allowed from being used badly; the other layers judge each call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bascule.core.policy import Standing
from bascule.policy.catalog import (
    LATER_NAMES,
    LEAF_DENY,
    SANDBOX_ALLOW,
    SANDBOX_DENY,
    SUBAGENT_DENY,
    TOOLS,
    expand,
    names,
    normalise,
    profile_tools,
)
from bascule.policy.schema.tools import AgentTools, ProviderTools, ToolLists, Tools

Bundles = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """One filter.

    Attributes:
        key: where it stands, such as ``agents.list[2].tools``; ``.allow`` and ``.deny`` are appended in messages.
        allow: expanded names and patterns; None leaves everything that is left.
        deny: expanded names and patterns; always wins.
        allow_key: the key to name for a tool that ``allow`` lacks, if it is not ``key.allow``.
        ceiling: being on the list gives nothing, only being off it takes away (sandbox, subagents).
    """

    key: str
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    allow_key: str = ""
    ceiling: bool = False

    def denies(self, tool: str) -> bool:
        """True if the deny list names the tool."""
        return names(self.deny, tool)

    def drops(self, tool: str) -> bool:
        """True if there is an allow list and it does not name the tool."""
        return self.allow is not None and not names(self.allow, tool)

    def admits(self, tool: str) -> bool:
        """True if this scope alone lets the tool through."""
        return not self.denies(tool) and not self.drops(tool)


def standing(scopes: Iterable[Scope], tool: str) -> Standing:
    """Return whether a tool passes every scope, the first keys that deny and drop it, and all that do either.

    A tool that no scope allows by name or pattern is dropped: silence allows nothing.
    """
    denied = dropped = ""
    removed: list[str] = []
    named = False
    for scope in scopes:
        if scope.denies(tool):
            removed.append(f"{scope.key}.deny")
            denied = denied or removed[-1]
        if scope.drops(tool):
            removed.append(scope.allow_key or f"{scope.key}.allow")
            dropped = dropped or removed[-1]
        named = named or (scope.allow is not None and not scope.ceiling)
    if not named and not dropped:
        dropped = "tools.allow"
        removed.append(dropped)
    return Standing(denied, dropped, tuple(dict.fromkeys(removed)))


@dataclass(frozen=True, slots=True)
class AgentScopes:
    """Everything the file says about one agent's tools.

    Attributes:
        key: the agent's section, ``agents.list[2]`` or ``agents.entries.main``.
        shared: the global section.
        own: the agent's section.
        provider: provider of the agent's model, lower case, empty if unknown.
        model: ``provider/model``, lower case, empty if unknown.
        sandboxed: the sandbox ceiling holds.
        bundles: tools of each tool server.
    """

    key: str
    shared: Tools
    own: AgentTools
    provider: str = ""
    model: str = ""
    sandboxed: bool = False
    bundles: Bundles | None = None

    def scopes(self) -> tuple[Scope, ...]:
        """Return the filters in the order in which they are asked."""
        mine = f"{self.key}.tools"
        own_provider, own_key = self._provider(self.own, mine)
        shared_provider, shared_key = self._provider(self.shared, "tools")
        found = [
            self._profile(self.own, mine, self.shared, "tools"),
            self._profile(own_provider, own_key, shared_provider, shared_key),
            self._lists("tools", self.shared),
            self._lists(shared_key, shared_provider),
            self._lists(mine, self.own),
            self._lists(own_key, own_provider),
        ]
        if self.sandboxed:
            found.append(sandbox_scope(self.shared, self.own, self.key, self.bundles))
        return tuple(scope for scope in found if scope is not None)

    def standings(self) -> dict[str, Standing]:
        """Return the standing of every known tool, tools of servers included."""
        scopes = self.scopes()
        return {tool: standing(scopes, tool) for tool in known_tools(self.bundles)}

    def _provider(self, section: AgentTools, key: str) -> tuple[ProviderTools | None, str]:
        by_provider = {name.lower(): (name, rules) for name, rules in (section.by_provider or {}).items()}
        for wanted in (self.model, self.provider):
            if wanted and wanted in by_provider:
                name, rules = by_provider[wanted]
                return rules, f"{key}.byProvider.{name}"
        return None, f"{key}.byProvider"

    def _lists(self, key: str, lists: ToolLists | None) -> Scope | None:
        if lists is None or (lists.allow is None and lists.deny is None):
            return None
        allow = None if lists.allow is None else expand(lists.allow, self.bundles)
        return Scope(key, allow, expand(lists.deny or (), self.bundles))

    def _profile(
        self,
        own: AgentTools | ProviderTools | None,
        own_key: str,
        shared: AgentTools | ProviderTools | None,
        shared_key: str,
    ) -> Scope | None:
        """The starting point: one profile, widened by one ``alsoAllow``; the agent's counts before the global one."""
        profile, key = None, ""
        for section, where in ((shared, shared_key), (own, own_key)):
            if section is not None and section.profile is not None:
                profile, key = section.profile, where
        if profile is None:
            return None
        tools = profile_tools(profile)
        if tools is None:
            return Scope(key, ("*",), allow_key=f"{key}.profile")
        extra = next((section.also_allow for section in (own, shared) if section and section.also_allow), ())
        return Scope(key, (*tools, *expand(extra, self.bundles)), allow_key=f"{key}.profile")


def known_tools(bundles: Bundles | None = None) -> tuple[str, ...]:
    """Return every tool name that policy may speak of, tools of servers last."""
    servers = bundles if bundles is not None else {}
    foreign = dict.fromkeys(normalise(tool) for tools in servers.values() for tool in tools)
    return (*TOOLS, *sorted(LATER_NAMES), *foreign)


def sandbox_scope(shared: Tools, own: AgentTools, agent_key: str, bundles: Bundles | None = None) -> Scope:
    """Return the ceiling of sandboxed sessions: the agent's list where it has one, else the global, else the built-in.

    ``alsoAllow`` widens the built-in list only. An explicit allow takes names out of the *built-in* deny, never out of
    an explicit one.
    """
    sections = (
        (own.sandbox.tools if own.sandbox else None, f"{agent_key}.tools.sandbox.tools"),
        (shared.sandbox.tools if shared.sandbox else None, "tools.sandbox.tools"),
    )
    allow_of = next(((lists, key) for lists, key in sections if lists and _says_allow(lists)), (None, sections[1][1]))
    deny_of = next(((lists.deny, key) for lists, key in sections if lists and lists.deny is not None), (None, ""))
    lists, key = allow_of
    given: tuple[str, ...] = ()
    if lists is not None and lists.allow is not None:
        given = allow = expand(lists.allow, bundles)
    else:
        given = expand((lists.also_allow or ()) if lists is not None else (), bundles)
        allow = tuple(dict.fromkeys((*SANDBOX_ALLOW, *given)))
    allow_key = f"{key}.alsoAllow" if lists is not None and lists.allow is None else f"{key}.allow"
    explicit, deny_key = deny_of
    if explicit is not None:
        return Scope(deny_key, allow, expand(explicit, bundles), allow_key, ceiling=True)
    deny = tuple(tool for tool in SANDBOX_DENY if not names(given, tool))
    return Scope(key, allow, deny, allow_key, ceiling=True)


def _says_allow(lists: ToolLists) -> bool:
    return lists.allow is not None or lists.also_allow is not None


def subagent_scope(shared: Tools, depth: int, max_depth: int, bundles: Bundles | None = None) -> Scope:
    """Return the filter of spawned sessions.

    Args:
        shared: the global section.
        depth: how deep the session is, 1 for a child of an ordinary one.
        max_depth: deepest level at which sessions may still spawn is one less.
        bundles: tools of each tool server.
    """
    lists = shared.subagents.tools if shared.subagents else None
    base = (*SUBAGENT_DENY, *LEAF_DENY) if depth >= max_depth else SUBAGENT_DENY
    if lists is None:
        return Scope("tools.subagents.tools", None, base, ceiling=True)
    given = (*expand(lists.allow or (), bundles), *expand(lists.also_allow or (), bundles))
    kept = tuple(tool for tool in base if not names(given, tool))
    allow = None if lists.allow is None else (*expand(lists.allow, bundles), *expand(lists.also_allow or (), bundles))
    return Scope("tools.subagents.tools", allow, (*kept, *expand(lists.deny or (), bundles)), ceiling=True)


def under(parent: Mapping[str, Standing], child: Mapping[str, Standing], parent_key: str) -> dict[str, Standing]:
    """Return a spawned session's tools: at most its parent's."""
    found: dict[str, Standing] = {}
    for tool, own in child.items():
        above = parent.get(tool, Standing(dropped_by=parent_key, removed_by=(parent_key,)))
        if above.denied_by or above.dropped_by:
            removed = tuple(dict.fromkeys((*own.removed_by, *above.removed_by)))
            found[tool] = Standing(own.denied_by or above.denied_by, own.dropped_by or above.dropped_by, removed)
        else:
            found[tool] = own
    return found
