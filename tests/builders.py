"""Values for tests: policies, calls and facts with everything in order, to be spoiled one thing at a time."""

from __future__ import annotations

from dataclasses import replace

from bascule.core.call import Call, Intent, Proposal, seal
from bascule.core.facts import Enforcement, Facts
from bascule.core.ids import AgentId, main_session
from bascule.core.label import OPERATOR
from bascule.core.paths import Access, Layout, PathUse, locate
from bascule.core.plan import Command, Connector, Plan, Program, ProgramKind, Step, Word
from bascule.core.policy import (
    AgentPolicy,
    ExecAsk,
    ExecEntry,
    ExecPolicy,
    ExecSecurity,
    Policy,
    Quota,
    SandboxPolicy,
    Standing,
)
from bascule.core.posture import Posture
from bascule.core.toolspec import ActionClass, Param, ParamKind, ToolSpec

AGENT = AgentId("bruba-main")
HOME = "/srv/bots"
LAYOUT = Layout(HOME, f"{HOME}/agents/{AGENT}", ("/opt/bascule",))
NOW = 1_800_000_000.0
FACTS = Facts(NOW)

FIT = Posture(1_900_000_001, 1_900_000_000, True, 2, 0, True, 0, 7, 512 << 20, 64, cpus_limit=1000)

GREP = Program("grep", "/usr/bin/grep", ProgramKind.NATIVE, "a" * 64)
CAT = Program("/bin/cat", "/usr/bin/cat", ProgramKind.NATIVE, "b" * 64)

EXEC = ExecPolicy(
    ExecSecurity.ALLOWLIST,
    ExecAsk.ON_MISS,
    (
        ExecEntry("/usr/bin/grep", "/usr/bin/grep", where="exec-approvals.json:4"),
        ExecEntry("/usr/bin/cat", "/bin/cat", where="exec-approvals.json:5"),
    ),
    where="exec-approvals.json",
)


def agent_policy(**changes: object) -> AgentPolicy:
    base = AgentPolicy(
        id=AGENT,
        name="Bruba",
        model="",
        tools={name: Standing() for name in ("read", "write", "edit", "exec", "touchy")},
        exec=EXEC,
        sandbox=SandboxPolicy(),
        quota=Quota(),
        layout=LAYOUT,
        where="agents.list[0]",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def policy(rules: AgentPolicy | None = None) -> Policy:
    return Policy("v" * 64, {AGENT: rules or agent_policy()}, AGENT, approval_seconds=600)


def spec(name: str = "read", action: ActionClass = ActionClass.READ, **changes: object) -> ToolSpec:
    base = ToolSpec(name, action, "a tool", (Param("path", ParamKind.PATH, "a file", required=False),))
    return replace(base, **changes)  # type: ignore[arg-type]


def proposal(tool: str = "read", args: str = "{}", agent: AgentId = AGENT) -> Proposal:
    return Proposal(agent, main_session(agent), tool, args, OPERATOR)


def file_call(path: str, access: Access = Access.READ, tool: str = "read", **changes: object) -> Call:
    action = ActionClass.READ if access is Access.READ else ActionClass.WRITE
    use = PathUse(locate(path, LAYOUT), access, "path")
    call = seal(proposal(tool), spec(tool, action), {"path": path}, Intent((use,)), {})
    return replace(call, **changes)  # type: ignore[arg-type]


def command(program: Program | None, *words: str) -> Command:
    name = program.asked if program else "x"
    return Command((Word(name), *(Word(word) for word in words)), program=program)


def exec_call(*commands: Command, paths: tuple[PathUse, ...] = ()) -> Call:
    plan = Plan((Step(Connector.FIRST, commands),))
    return seal(proposal("exec"), spec("exec", ActionClass.COMPUTE), {"command": "c"}, Intent(paths, plan), {})


def without(enforcement: Enforcement) -> Facts:
    return replace(FACTS, missing={enforcement: "the reason"})
