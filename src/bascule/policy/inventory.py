"""What an operator should know about a policy that is correct: what it reads and does not do, and what reaches far.

Stops: a key being believed in because it was accepted. Every section or key that is read and not acted on is named
once; so is every setting that opens a door wider than its name suggests.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from bascule.core.finding import Finding, Severity
from bascule.core.policy import AgentPolicy
from bascule.policy.catalog import examine_allow
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.places import CARRIED, Places
from bascule.policy.schema.channels import SignalAccount
from bascule.policy.schema.root import INERT, Config
from bascule.policy.schema.tools import AgentTools, ToolLists, Tools
from bascule.policy.toolrules import Bundles, known_tools

_NO_EFFECT: tuple[tuple[str, str], ...] = (
    ("tools.elevated", "there is no way around the sandbox"),
    ("tools.exec.host", "programs always run in a box of their own"),
    ("tools.exec.node", "programs run on this machine"),
    ("tools.exec.pathPrepend", "bare names are looked up in /usr/bin and /bin only"),
    ("tools.exec.safeBins", "list programs with args in exec-approvals.json"),
    ("tools.exec.safeBinTrustedDirs", "list programs with args in exec-approvals.json"),
    ("tools.exec.safeBinProfiles", "list programs with args in exec-approvals.json"),
    ("tools.exec.strictInlineEval", "an interpreter is never started unless a needs entry names it"),
    ("tools.exec.applyPatch", "there is no patch tool"),
    ("tools.exec.reviewer", "no model decides"),
    ("tools.fs", "a file outside the agent's directory always asks"),
    ("tools.toolsBySender", "tools do not depend on who writes"),
    ("tools.codeMode", "there is no such mode"),
    ("workspace", "an agent's directory is agents/<id> in the home"),
    ("agentDir", "an agent's directory is agents/<id> in the home"),
    ("systemPromptOverride", "prompts come from files in prompts/<id>"),
    ("sandbox.docker.memorySwap", "no box swaps, which is tighter than any number"),
    ("sandbox.docker.dangerouslyAllowExternalBindSources", "a source is judged by what it is, wherever it lies"),
    ("sandbox.docker.dangerouslyAllowReservedContainerTargets", "no mount hides what a box has of its own"),
    ("sandbox.docker.containerPrefix", "containers are found by their labels"),
    ("sandbox.docker.workdir", "the agent's directory is /workspace"),
    ("sandbox.docker.capDrop", "every capability is always dropped"),
    ("sandbox.browser", "there is no browser tool"),
    ("sandbox.ssh", "boxes run on this machine"),
)
"""Keys that are accepted so that a file carries over, with why they do nothing; beneath any agent and globally."""


def config_findings(config: Config, document: Document, places: Places) -> Iterator[Finding]:
    """Yield what is odd about the configuration as a whole."""
    yield from _not_carried(document, places)
    yield from _no_effect(document)
    yield from _dangerous(document)
    signal = config.channels.signal if config.channels else None
    if signal is not None:
        yield from _signal("channels.signal", signal)
        for name, account in (signal.accounts or {}).items():
            yield from _signal(f"channels.signal.accounts.{name}", account)
    if config.logging is not None and config.logging.redact_sensitive == "off":
        detail = "logging.redactSensitive off has no effect: secrets are always masked"
        yield Finding("logging.redact_off", Severity.WARN, detail, "remove it")
    if config.operators is not None and not any(person.approves for person in config.operators.values()):
        detail = "no operator has approves: true, so questions can be answered at the terminal only"
        yield Finding("operators.nobody_approves", Severity.WARN, detail, "set approves: true for yourself")


def _not_carried(document: Document, places: Places) -> Iterator[Finding]:
    if not isinstance(document.value, dict):
        return
    for section in document.value:
        if section in INERT:
            detail = f"{document.where((section,), key=True)}: {section} belongs to OpenClaw and does nothing here"
            yield Finding("policy.section_inert", Severity.INFO, detail, "remove it when you no longer need it")
        elif section not in CARRIED | places.carried:
            where = document.where((section,), key=True)
            detail = f"{where}: {section} is checked, but this version does not act on it"
            yield Finding("policy.not_carried_out", Severity.WARN, detail, "do not rely on it")


def _no_effect(document: Document) -> Iterator[Finding]:
    for path in document.keys:
        where = _below_agent(path)
        for key, why in _NO_EFFECT:
            if where == key:
                detail = f"{document.where(path, key=True)}: {dotted(path)} has no effect: {why}"
                yield Finding("policy.key_inert", Severity.INFO, detail, "remove it")


def _below_agent(path: Path) -> str:
    """Return the path within an agent's section, or within the file for the global ``tools``."""
    if path[:1] == ("tools",):
        return dotted(path)
    if path[:2] == ("agents", "defaults"):
        return dotted(path[2:])
    return dotted(path[3:]) if path[:1] == ("agents",) else ""


def _dangerous(document: Document) -> Iterator[Finding]:
    for path in document.keys:
        name = str(path[-1])
        if fnmatchcase(name, "dangerously*") or name == "allowInsecureAuth":
            detail = f"{document.where(path, key=True)}: {dotted(path)} is set"
            yield Finding("config.insecure_or_dangerous_flags", Severity.WARN, detail, "remove it")


def _signal(key: str, account: SignalAccount) -> Iterator[Finding]:
    if account.dm_policy == "open":
        detail = f"{key}.dmPolicy is open: anybody may write to the agents"
        yield Finding("channels.signal.dm.open", Severity.CRITICAL, detail, "use allowlist")
    if account.group_policy == "open":
        detail = f"{key}.groupPolicy is open: anybody in a group may write to the agents"
        yield Finding("channels.signal.groups.open", Severity.CRITICAL, detail, "use allowlist")
    if account.config_writes:
        detail = f"{key}.configWrites has no effect: nothing writes a policy file at run time"
        yield Finding("channels.signal.config_writes", Severity.INFO, detail, "remove it")


def tool_findings(
    agent: AgentPolicy, shared: Tools, own: AgentTools, bundles: Bundles, places: Places
) -> Iterator[Finding]:
    """Yield what is odd about one agent's tools."""
    known = known_tools(bundles)
    for key, lists in (*_lists("tools", shared), *_lists(f"{agent.where}.tools", own)):
        report = examine_allow((*(lists.allow or ()), *(lists.also_allow or ())), known, bundles)
        if report.unknown:
            detail = f"{key} allows {', '.join(report.unknown)[:120]}, and there is no such tool"
            yield Finding("tools.allow_unknown", Severity.WARN, detail, "correct the name")
    if own.also_allow is not None and own.profile is None and shared.profile is None:
        detail = f"{agent.where}.tools.alsoAllow widens a profile, and there is none"
        yield Finding("tools.also_allow_without_profile", Severity.WARN, detail, "use allow, or name a profile")
    have = [tool for tool, standing in agent.tools.items() if not standing.denied_by and not standing.dropped_by]
    if not have:
        detail = f"{agent.id} has no tool at all"
        yield Finding("tools.none", Severity.WARN, detail, f"name some in tools.allow and {agent.where}.tools.allow")
    missing = [tool for tool in have if tool not in places.built_tools] if places.built_tools else []
    if missing:
        detail = f"{agent.id} is allowed {', '.join(missing)[:200]}, which this version does not carry out"
        yield Finding("tools.not_built", Severity.INFO, detail, "calls of them are denied")


def _lists(key: str, section: AgentTools) -> Iterator[tuple[str, ToolLists]]:
    yield key, section
    for name, provider in (section.by_provider or {}).items():
        yield f"{key}.byProvider.{name}", provider
    if section.sandbox is not None and section.sandbox.tools is not None:
        yield f"{key}.sandbox.tools", section.sandbox.tools
