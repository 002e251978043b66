"""Layer 6, exec allowlist: which programs, with which arguments, over which files.

Stops: a program nobody listed, a listed one under another name, arguments its entry does not match, and operands
outside the agent's directory. Each program then runs in a box that holds it, its ``needs`` and their libraries only,
so a trick inside a listed program finds nothing else to run. Does not stop: a listed program doing what it is for.
"""

from __future__ import annotations

from functools import lru_cache

import re2

from bascule.core.call import Call
from bascule.core.confinement import Confinement
from bascule.core.facts import Facts
from bascule.core.finding import Finding, Severity
from bascule.core.paths import Access, Zone
from bascule.core.patterns import path_pattern_matches
from bascule.core.plan import Command, Program, ProgramKind
from bascule.core.policy import AgentPolicy, Backend, ExecAsk, ExecEntry, ExecPolicy, ExecSecurity
from bascule.core.posture import Posture
from bascule.core.quoting import render
from bascule.core.scope import strictest_use
from bascule.core.toolspec import ActionClass
from bascule.core.verdict import Verdict, allow, ask, deny

NAME = "l6_exec_allowlist"

TOOLS_REMEDY = "chown it to root and chmod go-w it"

_OK = allow(NAME)
_WRITTEN = frozenset({Zone.OWN, Zone.BIND_WRITABLE})


def judge(call: Call, facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: every program is listed with these arguments, and every operand lies in scope; the strictest counts."""
    if call.plan is None:
        return _OK
    off = _switched_off(policy.exec)
    if off is not None:
        return off
    worst = _OK
    for command in call.plan.commands:
        verdict = _judge_command(command, facts, policy)
        if verdict.effect > worst.effect:
            worst = verdict
    effect, code, reason, remedy = strictest_use(call.paths, policy.sandbox.workspace_access)
    if effect > worst.effect:
        return Verdict(effect, NAME, code, reason, remedy)
    writes = _unwritable(call, policy)
    return writes if writes.effect > worst.effect else worst


def _switched_off(rules: ExecPolicy) -> Verdict | None:
    if rules.broken:
        return deny(NAME, "approvals_file_broken", f"no program runs: {rules.broken}", "run: bascule config check")
    if rules.security is ExecSecurity.DENY:
        return deny(NAME, "exec_denied", f"programs are off by {rules.where}", "set security to allowlist there")
    return None


def _judge_command(command: Command, facts: Facts, policy: AgentPolicy) -> Verdict:
    program = command.program
    if program is None:
        return deny(NAME, "program_unresolved", f"{command.argv[0]} was not looked up, for the call is denied anyway")
    if program.kind is ProgramKind.MISSING:
        return _nowhere(command.argv[0], policy)
    if program.kind is ProgramKind.MULTICALL:
        return deny(
            NAME,
            "program_multicall",
            f"{program.asked} is another name of {program.path}, which does whatever its name says",
            "name a program that is a file of its own",
        )
    in_tools = program.path.startswith(policy.layout.agent_root + "/tools/")
    if in_tools and policy.sandbox.workspace_access == "none":
        reason = f"{program.asked} lies in the agent's directory, of which policy mounts nothing"
        return deny(NAME, "workspace_none", reason, "set sandbox.workspaceAccess to ro or rw")
    if in_tools and facts.tools_unsafe:
        return deny(NAME, "tools_unsafe", f"tools/ is not mounted: {facts.tools_unsafe}", TOOLS_REMEDY)
    if not in_tools and program.path.startswith(policy.layout.home + "/"):
        return deny(NAME, "program_writable", f"{program.asked} lies where agents write", "put it in tools/")
    entry = match_entry(command, policy.exec)
    if entry is None:
        return _miss(program, policy.exec)
    if program.interpreter and program.interpreter not in entry.needs:
        return deny(
            NAME,
            "interpreter_not_listed",
            f"the script {program.asked} starts {program.interpreter}, which its entry does not list",
            f'add "needs": ["{program.interpreter}"] in {entry.where}',
        )
    if policy.exec.ask is ExecAsk.ALWAYS:
        return ask(NAME, "exec_always_asks", f"{policy.exec.where} asks before every program", "approve this call")
    return _OK


def _nowhere(name: str, policy: AgentPolicy) -> Verdict:
    if policy.sandbox.backend is Backend.DOCKER:
        reason = f"there is no program {name} in the image of {policy.id}"
        return deny(NAME, "program_missing", reason, "take another image, or bubblewrap, which has this machine's")
    return deny(NAME, "program_missing", f"there is no program {name}", "name an installed program")


def _miss(program: Program, rules: ExecPolicy) -> Verdict:
    reason = f"{program.asked} ({program.path}) with these arguments is on no allowlist entry"
    if rules.ask is ExecAsk.OFF:
        return deny(NAME, "program_not_listed", reason, f"list it in {rules.where}")
    return ask(NAME, "program_not_listed", reason, f"approve this call, or list it in {rules.where}")


def match_entry(command: Command, rules: ExecPolicy) -> ExecEntry | None:
    """Return the first entry that covers the command, or None.

    An entry covers it when its pattern matches the resolved path (a bare-name pattern: the name, for commands given by
    bare name only) and its ``args``, if any, match the whole shell-quoted rendering of the arguments.
    """
    program = command.program
    if program is None or not program.path:
        return None
    for entry in rules.entries:
        if path_pattern_matches(entry.pattern, program.path, asked=program.asked) and _args_match(entry, command):
            return entry
    return None


def _args_match(entry: ExecEntry, command: Command) -> bool:
    if entry.args is None:
        return True
    return _regex(entry.args).fullmatch(render(command.argv[1:])) is not None


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re2._Regexp[str]:
    return re2.compile(pattern)


def _unwritable(call: Call, policy: AgentPolicy) -> Verdict:
    """A program may be given operands to write only if its own entry says ``writes``."""
    if call.plan is None:
        return _OK
    commands = call.plan.commands
    for use in call.paths:
        if use.command < 0 or use.access is not Access.WRITE or use.place.zone not in _WRITTEN:
            continue
        if not writes_of(commands[use.command], policy.exec):
            return deny(
                NAME,
                "program_read_only",
                f"{use.origin}: the program would write {use.place.host}, and its entry does not say so",
                'add "writes": true to its entry, or redirect its output',
            )
    return _OK


def confine(call: Call, policy: AgentPolicy) -> Confinement:
    """How tightly: only the programs of the plan and what their entries need."""
    if call.plan is None:
        return Confinement(programs=frozenset())
    programs: set[str] = set()
    for command in call.plan.commands:
        if command.program is not None:
            programs.add(command.program.path)
            programs.update(needs_of(command, policy.exec))
    return Confinement(programs=frozenset(programs))


def needs_of(command: Command, rules: ExecPolicy) -> tuple[str, ...]:
    """Return the programs that exist in the box besides the command's own.

    For a listed program those its entry names; for one the operator approved although it is not listed, its
    interpreter alone.
    """
    entry = match_entry(command, rules)
    if entry is not None:
        return entry.needs
    if command.program is not None and command.program.interpreter:
        return (command.program.interpreter,)
    return ()


def writes_of(command: Command, rules: ExecPolicy) -> bool:
    """Return whether the command's box may write the agent's own directories."""
    entry = match_entry(command, rules)
    return entry is not None and entry.writes


def changes_files(call: Call, policy: AgentPolicy) -> bool:
    """Return whether a call can change files of its agent: by a path it names, or in a box that may write."""
    commands = call.plan.commands if call.plan is not None else ()
    named = any(use.access is Access.WRITE for use in call.paths)
    return named or any(writes_of(command, policy.exec) for command in commands)


def action_of(call: Call, policy: AgentPolicy) -> ActionClass:
    """Return the worst action class in a call: its tool's own, or what an entry says of one of its programs."""
    ranks = list(ActionClass)
    worst = call.action
    for command in call.plan.commands if call.plan is not None else ():
        entry = match_entry(command, policy.exec)
        if entry is not None and ranks.index(entry.action) > ranks.index(worst):
            worst = entry.action
    return worst


def check(posture: Posture, policy: AgentPolicy) -> tuple[Finding, ...]:
    """Is it so here: ``tools/`` is the operator's; program boxes themselves are probed by layer 2's self-test."""
    found = []
    if policy.sandbox.backend is Backend.UNSAFE_NONE:
        detail = "on the bare host a listed program can start every other program of this machine"
        found.append(Finding("exec.bare_host", Severity.WARN, detail, "set sandbox.backend to bubblewrap"))
    if posture.tools_unsafe:
        detail = f"tools/ is not mounted: {posture.tools_unsafe}"
        found.append(Finding("exec.tools", Severity.WARN, detail, TOOLS_REMEDY))
    return tuple(found)
