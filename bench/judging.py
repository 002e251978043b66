"""Group ``judge``: one decision on a parsed call, beside other engines on the same question."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

from bascule.core.call import Call
from bascule.core.policy import AgentPolicy
from bascule.core.verdict import Decision, Effect
from bascule.judge import confine, effect, judge
from bench.engines import ENGINES, Says
from bench.measure import CannotRun, Effort, Rival, Row, calls
from bench.workload import FACTS, PAIRS, an_exec_call, cases, has

_PACKAGES = {"casbin": "casbin", "Cedar": "cedarpy", "Agent Governance": "agent-governance-toolkit-core"}


def rows(effort: Effort) -> Iterator[Row]:
    """Yield the judge's rows."""
    inputs = [(call, rules) for call, rules, _ in cases()]
    wrong = [call.tool for call, rules, want in cases() if decide((call, rules)).effect is not want]
    wrong += [call.tool for call, rules, want in cases() if effect_alone((call, rules)) is not want]
    if wrong:
        raise CannotRun(f"the judge and the truth table disagree about {wrong[0]}")
    n = effort.n(20_000)
    yield Row("judge, all reasons, 5 agents x 20 tools, 70 rules", "µs", calls(decide, inputs, n), 20, 60, rivals(n))
    yield Row("judge, effect alone", "µs", calls(effect_alone, inputs, n), 8)
    pipeline = [an_exec_call()]
    yield Row("judge, all reasons, a pipeline of two listed programs", "µs", calls(decide, pipeline, n))
    yield Row("confine, the same pipeline", "µs", calls(lambda pair: confine(*pair), pipeline, n))


def decide(given: tuple[Call, AgentPolicy]) -> Decision:
    """Judge, every reason kept."""
    return judge(given[0], FACTS, given[1])


def effect_alone(given: tuple[Call, AgentPolicy]) -> Effect:
    """Judge until the answer is certain."""
    return effect(given[0], FACTS, given[1])


def rivals(n: int) -> tuple[Rival, ...]:
    """Time every engine that is installed and tells the truth."""
    found = []
    for name, build in ENGINES:
        says = _prepared(build)
        if says is not None and all(says(pair) == has(*pair) for pair in PAIRS):
            found.append(Rival(_versioned(name), calls(says, PAIRS, n, rounds=3)))
    return tuple(found)


def _prepared(build: object) -> Says | None:
    try:
        made: Says = build()  # type: ignore[operator]
    except ImportError:
        return None
    return made


def _versioned(name: str) -> str:
    for word, package in _PACKAGES.items():
        if name.startswith(word):
            return f"{name} {importlib.metadata.version(package)}"
    return name
