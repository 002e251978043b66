"""What an operator sees before a command is let through: every program as it lies on disk, every word, every path."""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.paths import Zone
from bascule.core.plan import Command, Step
from bascule.core.policy import AgentPolicy
from bascule.core.quoting import quote, render
from bascule.layers.l6_exec_allowlist import needs_of, writes_of


def card(call: Call, policy: AgentPolicy) -> tuple[str, ...]:
    """The command as written and as it will run."""
    lines = [f"command: {call.args['command']}"]
    if call.plan is not None:
        for step in call.plan.steps:
            lines += _step(step, policy)
    outside = [use for use in call.paths if use.place.zone is Zone.OUTSIDE]
    lines += [f"outside its directory: {use.access.value} {use.place.host} ({use.origin})" for use in outside]
    if outside:
        lines.append("opened with the agent's own account: if that account may not, a yes does not help")
    return tuple(lines)


def _step(step: Step, policy: AgentPolicy) -> list[str]:
    lines = []
    for position, command in enumerate(step.pipeline):
        joined = "|" if position else step.connector.value
        lines.append(f"runs{' ' + joined if joined else ''}: {render(command.argv)}{_streams(command)}")
        lines += _program(command, policy)
    return lines


def _program(command: Command, policy: AgentPolicy) -> list[str]:
    program = command.program
    if program is None:
        return []
    lines = [f"  program {program.path} ({program.kind.value}), sha256 {program.sha256}"]
    needs = needs_of(command, policy.exec)
    if needs:
        lines.append(f"  may also start: {', '.join(needs)}")
    if writes_of(command, policy.exec):
        lines.append("  may write workspace/, memory/ and output/")
    return lines


def _streams(command: Command) -> str:
    streams, text = command.streams, ""
    if streams.stdin is not None:
        text += f" < {quote(streams.stdin)}"
    if streams.stdout is not None:
        text += f" {'>>' if streams.append else '>'} {quote(streams.stdout)}"
    if streams.stderr == "null":
        text += " 2>/dev/null"
    if streams.stderr == "out":
        text += " 2>&1"
    return text
