"""How an agent's commands are judged: the configuration and the approvals file, the stricter word of every pair.

Stops: one file quietly loosening the other. ``deny`` anywhere switches programs off; ``full`` means ``allowlist`` and
is reported; a miss is refused if any scope says ``off``; a hit asks if any scope says ``always``; nobody said anything
means no programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bascule.core.finding import Finding, Severity
from bascule.core.policy import ExecAsk, ExecPolicy, ExecSecurity
from bascule.policy.approvals_file import Approvals, Rules
from bascule.policy.schema.tools import Exec

_INTERPRETERS = """
ash awk bash bun busybox csh dash deno env fish gawk gdb irb ksh lua make mawk nawk nice node nohup perl php pypy python
python3 ruby script sed sh ssh stdbuf strace sudo tclsh time timeout toybox xargs zsh
"""

INTERPRETERS = frozenset(_INTERPRETERS.split())
"""Programs that start other programs or run what they are given; unlisted arguments make them anything at all."""


@dataclass(frozen=True, slots=True)
class Source:
    """One ``tools.exec`` section with the key it stands at."""

    key: str
    section: Exec | None


def exec_policy(
    agent: str, sources: Sequence[Source], rules: Rules, approvals: Approvals
) -> tuple[ExecPolicy, tuple[Finding, ...]]:
    """Return an agent's exec rules.

    Args:
        agent: its id.
        sources: the global and the agent's ``tools.exec``.
        rules: what the approvals file says of it.
        approvals: the file, for its name and whether it is broken.
    """
    findings: list[Finding] = []
    said_security = [*_securities(sources), (_at(approvals, rules, "security"), rules.security)]
    said_ask = [*_asks(sources), (_at(approvals, rules, "ask"), rules.ask)]
    security, where = _security(said_security)
    for key, word in said_security:
        if word == "full":
            detail = f"{agent}: {key} says full, which is read as allowlist"
            findings.append(_warn("tools.exec.security_full_configured", detail, "write allowlist"))
    ask = _ask(said_ask)
    words = {word for _, word in said_ask}
    if {"off", "always"} <= words:
        detail = f"{agent}: one scope says ask off and another always; every program asks"
        findings.append(_warn("tools.exec.ask_contradiction", detail, "keep one"))
    findings += _file_findings(agent, rules, approvals)
    if approvals.broken:
        return ExecPolicy(ExecSecurity.DENY, ExecAsk.OFF, (), approvals.broken, approvals.name), tuple(findings)
    where = where if security is ExecSecurity.DENY else f"{approvals.name} agents.{agent}.allowlist"
    return ExecPolicy(security, ask, rules.entries, "", where), tuple(findings)


_MODES = {"deny": ("deny", None), "allowlist": ("allowlist", "off"), "ask": ("allowlist", "on-miss")}
_MODES |= {"auto": ("allowlist", "on-miss"), "full": ("full", None)}


def _securities(sources: Sequence[Source]) -> list[tuple[str, str | None]]:
    said: list[tuple[str, str | None]] = []
    for source in sources:
        if source.section is not None:
            said.append((f"{source.key}.security", source.section.security))
            if source.section.mode is not None:
                said.append((f"{source.key}.mode", _MODES[source.section.mode][0]))
    return said


def _asks(sources: Sequence[Source]) -> list[tuple[str, str | None]]:
    said: list[tuple[str, str | None]] = []
    for source in sources:
        if source.section is not None:
            said.append((f"{source.key}.ask", source.section.ask))
            if source.section.mode is not None:
                said.append((f"{source.key}.mode", _MODES[source.section.mode][1]))
    return said


def _security(said: Sequence[tuple[str, str | None]]) -> tuple[ExecSecurity, str]:
    words = [(key, word) for key, word in said if word is not None]
    for key, word in words:
        if word == "deny":
            return ExecSecurity.DENY, key
    return (ExecSecurity.ALLOWLIST, "") if words else (ExecSecurity.DENY, "tools.exec.security (absent)")


def _ask(said: Sequence[tuple[str, str | None]]) -> ExecAsk:
    words = {word for _, word in said}
    for word in (ExecAsk.ALWAYS, ExecAsk.OFF, ExecAsk.ON_MISS):
        if word.value in words:
            return word
    return ExecAsk.OFF


def _at(approvals: Approvals, rules: Rules, name: str) -> str:
    return f"{approvals.name} {rules.sources.get(name, '')}".rstrip()


def _file_findings(agent: str, rules: Rules, approvals: Approvals) -> list[Finding]:
    found: list[Finding] = []
    if rules.ask_fallback not in (None, "deny"):
        detail = f"{agent}: {_at(approvals, rules, 'ask_fallback')} is {rules.ask_fallback}; silence is always no"
        found.append(_warn("tools.exec.ask_fallback", detail, "write deny"))
    if rules.auto_allow_skills:
        detail = f"{agent}: {_at(approvals, rules, 'auto_allow_skills')} is set and has no effect"
        found.append(_warn("tools.exec.auto_allow_skills_enabled", detail, "list the programs"))
    for entry in rules.entries:
        name = entry.pattern.rpartition("/")[2]
        if entry.args is None and entry.pattern.strip() in {"*", "**", "/**"}:
            detail = f"{agent}: {entry.where} lists every program there is"
            found.append(Finding("tools.exec.allowlist_everything", Severity.CRITICAL, detail, "list programs by path"))
        elif entry.args is None and name in INTERPRETERS:
            detail = f"{agent}: {entry.where} lists {entry.written} with any arguments, and it runs what it is given"
            found.append(_warn("tools.exec.allowlist_interpreter_without_args", detail, 'add "args"'))
    return found


def _warn(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, Severity.WARN, detail, remedy)
