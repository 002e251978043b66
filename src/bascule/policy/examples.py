"""A policy's own examples: what the operator expects, checked whenever the policy is read.

Stops: an edit that means something else than its author thought. Examples are judged by a function that is handed in
and are never run. Does not stop what nobody wrote an example for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from bascule.core.errors import Malformed
from bascule.core.ids import AgentId, parse_agent_id
from bascule.core.verdict import Decision, Effect
from bascule.policy.compile import agents_of
from bascule.policy.schema.reading import read_config

_EFFECTS = {str(effect): effect for effect in Effect}


@dataclass(frozen=True, slots=True)
class Example:
    """One expectation.

    Attributes:
        agent: whose call.
        tool: name as written.
        args: arguments as JSON text, as a model would send them.
        session: session key as written, empty for the one of ``bascule call``.
        want: the effect expected.
        code: the code expected of the leading verdict, empty for any.
        where: file, line and column.
    """

    agent: AgentId
    tool: str
    args: str
    session: str
    want: Effect
    code: str
    where: str


@dataclass(frozen=True, slots=True)
class Surprise:
    """An example that came out otherwise."""

    example: Example
    got: Effect
    code: str
    reason: str

    def __str__(self) -> str:
        wanted = f"{self.example.want} {self.example.code}".rstrip()
        call = f"{self.example.agent} {self.example.tool} {self.example.args}"[:160]
        return f"{self.example.where}: {call}: wanted {wanted}, got {self.got} {self.code}: {self.reason}"


Judge: TypeAlias = Callable[[Example], Decision]


def read_examples(untrusted_config: bytes | str, name: str) -> tuple[Example, ...]:
    """Return the examples of a configuration, in order.

    Raises:
        Malformed: as :func:`~bascule.policy.schema.reading.read_config`, or ``policy_schema`` for an unknown agent.
    """
    config, document = read_config(untrusted_config, name)
    del untrusted_config
    known = {agent for agent, _, _ in agents_of(config, document)}
    found: list[Example] = []
    for index, example in enumerate(config.examples or ()):
        where = document.where(("examples", index))
        try:
            agent = parse_agent_id(example.call.agent)
        except Malformed as refused:
            raise Malformed("policy_schema", f"{where}: examples[{index}].call.agent: {refused.message}") from None
        if agent not in known:
            problem = f"{where}: examples[{index}].call.agent: there is no agent {agent}"
            raise Malformed("policy_schema", problem, f"known: {', '.join(sorted(known))}"[:200])
        args = json.dumps(example.call.args if example.call.args is not None else {}, ensure_ascii=False)
        session = example.call.session if example.call.session is not None else ""
        code = example.code if example.code is not None else ""
        found.append(Example(agent, example.call.tool, args, session, _EFFECTS[example.want], code, where))
    return tuple(found)


def judge_examples(examples: Iterable[Example], judge: Judge) -> tuple[Surprise, ...]:
    """Return the examples that do not come out as wanted.

    Args:
        examples: from :func:`read_examples`.
        judge: parses and judges one call with fixed facts, without running it; :class:`Malformed` counts as a refusal.
    """
    found: list[Surprise] = []
    for example in examples:
        try:
            decision = judge(example)
        except Malformed as refused:
            effect, code, reason = Effect.DENY, refused.code, refused.message
        else:
            effect = decision.effect
            code = decision.leading.code if decision.verdicts else "no_verdict"
            reason = decision.leading.reason if decision.verdicts else "nobody judged it"
        if effect is not example.want or (example.code and code != example.code):
            found.append(Surprise(example, effect, code, reason))
    return tuple(found)
