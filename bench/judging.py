"""Group ``judge``: one decision on a parsed call, beside other engines on the same question."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Iterator

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
    n = effort.n(1_000)
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
        says = _prepared(name, build)
        if says is not None:
            found.append(Rival(_versioned(name), calls(says, PAIRS, n)))
    return tuple(found)


def _prepared(name: str, build: Callable[[], Says]) -> Says | None:
    """Return the engine if it is here, works as we know it, and tells the truth; what is odd is said."""
    try:
        says = build()
        wrong = [pair for pair in PAIRS if says(pair) != has(*pair)]
    except ModuleNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 -- another version of somebody else's library may fail in any way
        wrong = [(type(error).__name__, str(error)[:100])]
        says = None
    if wrong:
        sys.stderr.write(f"bench: judge: {name} is installed and left out: {wrong[0]}\n")
        return None
    return says


def _versioned(name: str) -> str:
    for word, package in _PACKAGES.items():
        if name.startswith(word):
            return f"{name} {importlib.metadata.version(package)}"
    return name
