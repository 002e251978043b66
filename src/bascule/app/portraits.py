"""What an operator is told of an agent: its tools and why, its programs, its box, what is wrong with it.

Stops: a missing tool without a reason. Everything is read from the compiled policy and from self-tests, so what is
shown is what judges will say.
"""

from __future__ import annotations

from collections.abc import Mapping

from bascule.app import reports
from bascule.app.explaining import limits
from bascule.core.box import Standing
from bascule.core.canonical import Json
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Tool
from bascule.core.posture import Posture
from bascule.judge import offered
from bascule.layers import LAYERS
from bascule.service.boxshapes import BoxRow, CheckBody, ProbeBody
from bascule.service.shapes import AgentDetail, AgentRow, ToolStanding


def row(
    rules: AgentPolicy, model: tuple[str, str], tools: Mapping[str, Tool], contained: str, problems: list[str]
) -> AgentRow:
    """One agent of the list; ``model`` is its name and notice, ``tools`` are those it is offered."""
    return AgentRow(
        id=rules.id,
        name=rules.name,
        model=model[0],
        notice=model[1],
        tools=[name for name in sorted(tools) if offered(name, rules)],
        contained=contained,
        problems=problems,
    )


def detail(base: AgentRow, rules: AgentPolicy, tools: Mapping[str, Tool], sessions: list[str]) -> AgentDetail:
    """One agent with everything policy says of it."""
    return AgentDetail(
        **base,
        directory=rules.layout.agent_root,
        prompts=[*rules.prompts, *rules.main_only],
        standings=[_standing(name, tools[name], rules) for name in sorted(tools)],
        exec=_programs(rules),
        sandbox={
            "backend": rules.sandbox.backend.value,
            "network": rules.sandbox.network,
            "workspaceAccess": rules.sandbox.workspace_access,
            "limits": limits(rules.sandbox.limits),
        },
        quota={
            "callsPerMinute": rules.quota.calls_per_minute,
            "callsPerDay": rules.quota.calls_per_day,
            "pendingApprovals": rules.quota.pending_approvals,
        },
        sessions=sessions,
    )


def _standing(name: str, tool: Tool, rules: AgentPolicy) -> ToolStanding:
    known = rules.tools.get(name)
    if known is None:
        standing, why = "unknown", f"{rules.where} does not speak of it"
    elif known.denied_by:
        standing, why = "denied", known.denied_by
    elif known.dropped_by:
        standing, why = "not given", known.dropped_by
    elif tool.spec.needs:
        standing, why = "given", "needs " + ", ".join(sorted(tool.spec.needs))
    else:
        standing, why = "given", ""
    return ToolStanding(id=name, action=tool.spec.action.value, standing=standing, why=why)


def _programs(rules: AgentPolicy) -> dict[str, Json]:
    entries: list[Json] = [
        {
            "pattern": entry.written,
            "args": entry.args,
            "writes": entry.writes,
            "needs": list(entry.needs),
            "class": entry.action.value,
            "reason": entry.reason,
            "where": entry.where,
        }
        for entry in rules.exec.entries
    ]
    return {
        "security": rules.exec.security.value,
        "ask": rules.exec.ask.value,
        "askFallback": "deny",
        "broken": rules.exec.broken,
        "allowlist": entries,
    }


def probe(rules: AgentPolicy, posture: Posture) -> ProbeBody:
    """A self-test, layer by layer."""
    checks: list[CheckBody] = []
    for layer in LAYERS:
        found = layer.check(posture, rules)
        checks += [
            CheckBody(id=finding.check, ok=False, detail=f"{finding.severity}: {finding.detail}", remedy=finding.remedy)
            for finding in found
        ]
        if not found:
            checks.append(CheckBody(id=layer.NAME, ok=True, detail="as it must be", remedy=""))
    checks.append(CheckBody(id="measured", ok=True, detail=_measured(posture), remedy=""))
    critical = any(check["detail"].startswith("critical") for check in checks)
    return ProbeBody(agent=rules.id, backend=rules.sandbox.backend.value, ok=not critical, checks=checks)


def _measured(posture: Posture) -> str:
    return (
        f"kernel uid {posture.kernel_uid} (gateway {posture.gateway_uid}), seccomp {posture.seccomp}, "
        f"capabilities {posture.capabilities:#x}, no_new_privs {int(posture.no_new_privs)}, routes {posture.routes}, "
        f"Landlock ABI {posture.landlock_abi}, memory limit {posture.memory_limit} bytes, "
        f"pids limit {posture.pids_limit}, processors {_processors(posture.cpus_limit)}"
    )


def _processors(thousandths: int) -> str:
    return f"{thousandths / 1000:g}" if thousandths else "unlimited"


def box(found: Standing, now: float) -> BoxRow:
    """One box of the list; ``now`` in seconds since the epoch."""
    return BoxRow(
        id=found.id,
        agent=found.agent,
        session=found.session,
        backend=found.backend,
        state=found.state,
        since=reports.instant(found.since) if found.since else "",
        age=max(0, int(now - found.since)) if found.since else None,
        idle=None if found.idle is None else max(0, int(found.idle)),
        image=found.image,
        orphan=found.is_orphan,
    )
