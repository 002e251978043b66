"""Group ``parse``: from the strings a model sends to a sealed call: read, plan, check words, digest."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bascule.core.call import Call, Proposal, seal
from bascule.core.canonical import read_arguments
from bascule.core.ids import AgentId, main_session
from bascule.core.label import OPERATOR
from bascule.core.policy import AgentPolicy
from bascule.shell.command import read_command
from bascule.shell.lexer import tokens
from bascule.shell.second_opinion import check
from bascule.tools.exec.spec import SPEC, paths_of
from bench.measure import Effort, Row, calls
from bench.workload import COMMAND, policy


def rows(effort: Effort) -> Iterator[Row]:
    """Yield the parser's rows."""
    rules = policy().agents[AgentId("main")]
    given = [(_proposal(f"{COMMAND} -c {each}"), rules) for each in range(64)]
    n = effort.n(500)
    yield Row(f"parse + plan + digest, exec {COMMAND!r}", "µs", calls(parse, given, n), 150)
    lines = [f"{COMMAND} -c {each}" for each in range(64)]
    yield Row("  of which: plan alone", "µs", calls(read_command, lines, n))
    pairs = [(line, tokens(line)) for line in lines]
    yield Row("  of which: tree-sitter's second opinion", "µs", calls(lambda pair: check(*pair), pairs, n))


def parse(given: tuple[Proposal, AgentPolicy]) -> Call:
    """Do what the gate does with a proposal before it looks anything up."""
    proposal, rules = given
    args = SPEC.parse(read_arguments(proposal.untrusted_args))
    intent = paths_of(read_command(str(args["command"])), rules.layout)
    return seal(proposal, SPEC, args, intent, {})


def _proposal(command: str) -> Proposal:
    agent = AgentId("main")
    return Proposal(agent, main_session(agent), "exec", json.dumps({"command": command}), OPERATOR)
