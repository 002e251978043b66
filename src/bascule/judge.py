"""The whole decision, on one screen.

Stops: a call that any guard or layer forbids. Every judge speaks, the strictest wins, every reason is kept, and a judge
that crashes has said no. Pure: the same call, facts and policy give the same decision.
"""

from __future__ import annotations

from collections.abc import Callable

from bascule.core.call import Call
from bascule.core.confinement import LOOSEST, Confinement
from bascule.core.facts import Facts
from bascule.core.policy import AgentPolicy
from bascule.core.verdict import Decision, Effect, Verdict, deny
from bascule.guards import GUARDS
from bascule.layers import LAYERS, l4_tool_deny, l5_tool_allow, l6_exec_allowlist

Judge = Callable[[Call, Facts, AgentPolicy], Verdict]

JUDGES: tuple[tuple[str, Judge], ...] = tuple((room.NAME, room.judge) for room in (*GUARDS, *LAYERS))
"""Every judge by name, guards first; the order decides only which of two equally strict reasons leads."""

# Looked up once: naming a member through its class calls a Python function before Python 3.12, eleven times a call.
_ALLOW, _DENY = Effect.ALLOW, Effect.DENY

BEFORE_BINDING = tuple(entry for entry in JUDGES if entry[0] != l6_exec_allowlist.NAME)
"""Those who can speak before globs and programs are looked up; their DENY saves looking anything up."""


def judge(call: Call, facts: Facts, policy: AgentPolicy, judges: tuple[tuple[str, Judge], ...] = JUDGES) -> Decision:
    """Return what all judges say."""
    verdicts = []
    for name, ask_judge in judges:
        try:
            verdicts.append(ask_judge(call, facts, policy))
        except Exception as error:  # noqa: BLE001 -- whatever breaks in a judge, the answer is no
            verdicts.append(_crashed(name, error))
    return Decision(tuple(verdicts))


def effect(call: Call, facts: Facts, policy: AgentPolicy) -> Effect:
    """Return the effect alone, stopping at the first DENY."""
    worst = _ALLOW
    for name, ask_judge in JUDGES:
        try:
            said = ask_judge(call, facts, policy).effect
        except Exception as error:  # noqa: BLE001 -- as above
            said = _crashed(name, error).effect
        if said is _DENY:
            return said
        if said is not _ALLOW:
            worst = max(worst, said)
    return worst


def judge_name(tool: str, policy: AgentPolicy) -> Decision:
    """Return what the tool layers say of a tool whose arguments could not be parsed."""
    return Decision((l4_tool_deny.standing(tool, policy), l5_tool_allow.standing(tool, policy)))


def offered(tool: str, policy: AgentPolicy) -> bool:
    """True if the model may be told of the tool at all."""
    return judge_name(tool, policy).effect is Effect.ALLOW


def confine(call: Call, policy: AgentPolicy) -> Confinement:
    """Return the confinements of all layers, met."""
    met = LOOSEST
    for layer in LAYERS:
        met = met.meet(layer.confine(call, policy))
    return met


def _crashed(name: str, error: Exception) -> Verdict:
    return deny(name, "judge_crashed", f"the judge {name} failed with {type(error).__name__}, which counts as no")
