"""Snapshots: what is so for one agent, measured and counted, handed to judges as values.

Stops: a judge trusting a claim. An enforcement is in force only if a box's self-test, started under this very gateway,
showed it; a box that cannot start is missing them all. Does not stop: the machine changing between two self-tests;
every new box is tested anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bascule.core.box import BoxKey
from bascule.core.call import Call
from bascule.core.errors import BasculeError
from bascule.core.facts import Enforcement, Facts, Usage
from bascule.core.finding import Finding, Severity
from bascule.core.ids import AgentId, SessionKey, cli_session
from bascule.core.paths import is_within
from bascule.core.policy import AgentPolicy, Policy
from bascule.core.ports import Boxes, Clock
from bascule.core.posture import Posture
from bascule.core.rights import Account
from bascule.layers.l2_sandbox import UNSAFE_NONE
from bascule.layers.l3_network import UNSAFE_BRIDGE

Check = Callable[[Posture, AgentPolicy], tuple[Finding, ...]]

NOT_BUILT: dict[Enforcement, str] = {
    Enforcement.PEERS: "this version carries no messages between agents",
    Enforcement.MEMORY: "this version has no memory index",
    Enforcement.SCHEDULE: "this version has no scheduler",
    Enforcement.CHANNEL: "this version has no outgoing channel",
    Enforcement.IMAGES: "this version reads no images",
    Enforcement.NOT_CARRIED: "Bascule does not carry this tool",
}
"""Enforcements no part of this version provides."""

SHOWN_BY_BOX = (Enforcement.ACCOUNT, Enforcement.SANDBOX, Enforcement.NETWORK, Enforcement.OS_PERMISSIONS)
"""Enforcements that a box's self-test shows."""


OF_ACCOUNTS = frozenset({Enforcement.ACCOUNT, Enforcement.OS_PERMISSIONS})
"""Those of them that policy can do without by name."""

BY_NAME = frozenset({UNSAFE_NONE, UNSAFE_BRIDGE})
"""Findings of the others that are so because policy named it."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """What is asked anew for every call.

    Attributes:
        contained: returns why an agent is contained, or the empty string.
        lock_problem: returns why the policy lock does not hold, or the empty string.
        account: returns what the machine grants an agent's account, None if that is nobody's to know.
        proxy_problem: returns why an agent has no egress proxy, or the empty string.
    """

    contained: Callable[[AgentId], str]
    lock_problem: Callable[[], str]
    account: Callable[[AgentId], Account | None]
    proxy_problem: Callable[[AgentId], str]


class Snapshots:
    """Implements :class:`bascule.core.ports.FactSource`.

    Args:
        boxes: asked for self-tests.
        clock: the time.
        checks: for each enforcement a box shows, the layer's own reading of a posture.
        lookups: the rest.
    """

    def __init__(
        self,
        boxes: Boxes,
        clock: Clock,
        checks: Mapping[Enforcement, Check],
        lookups: Lookups,
    ) -> None:
        self._boxes = boxes
        self._clock = clock
        self._checks = checks
        self._lookups = lookups
        self._calls: dict[AgentId, deque[float]] = {}

    async def snapshot(self, call: Call, policy: Policy) -> Facts:
        """Return what is so now."""
        rules = policy.agents[call.agent]
        now = self._clock.now()
        contained = self._lookups.contained(call.agent)
        missing, unsafe = NOT_BUILT | self._without_proxy(call.agent), ""
        if not contained:
            # What belongs to whom in tools/ may have changed since the box started, so those who use it look again.
            lacking, unsafe = await self._shown(rules, call.session, fresh=_uses_tools(call, rules))
            missing |= lacking
        return Facts(now, contained, self._lookups.lock_problem(), missing, self._usage(call.agent, now), unsafe)

    async def missing(self, rules: AgentPolicy) -> dict[Enforcement, str]:
        """Return the enforcements an agent's boxes do not have, with the reason; empty if all are in force."""
        shown, _ = await self._shown(rules, cli_session(rules.id), fresh=True)
        return shown if rules.sandbox.network == "none" else shown | self._without_proxy(rules.id)

    def _without_proxy(self, agent: AgentId) -> dict[Enforcement, str]:
        """Whether there is one differs from agent to agent: only policy's word ``proxy`` makes one."""
        problem = self._lookups.proxy_problem(agent)
        return {Enforcement.PROXY: problem} if problem else {}

    async def tolerated(self, rules: AgentPolicy) -> tuple[str, ...]:
        """Return what policy tolerates by name: no account of its own, the bare host, a raw bridge; one line each."""
        try:
            posture = await self.posture(rules, cli_session(rules.id), fresh=False)
        except BasculeError:
            return ()  # then nothing is in force, and that is said
        found = [(of, finding) for of, check in self._checks.items() for finding in check(posture, rules)]
        return tuple(
            finding.detail
            for of, finding in found
            if finding.severity is Severity.WARN and (of in OF_ACCOUNTS or finding.check in BY_NAME)
        )

    async def posture(self, rules: AgentPolicy, session: SessionKey, *, fresh: bool) -> Posture:
        """Return the self-test of a session's box, with what the machine grants the agent's account.

        Raises:
            BasculeError: no box can be had.
        """
        # The account after the box, for a box can take a while to make, and a table may change meanwhile.
        measured = await self._boxes.posture(BoxKey(rules.id, session), fresh=fresh)
        return replace(measured, account=self._lookups.account(rules.id))

    async def _shown(
        self, rules: AgentPolicy, session: SessionKey, *, fresh: bool
    ) -> tuple[dict[Enforcement, str], str]:
        """Return what a box shows to be missing, and why ``tools/`` may not be mounted."""
        try:
            posture = await self.posture(rules, session, fresh=fresh)
        except BasculeError as error:
            return dict.fromkeys(SHOWN_BY_BOX, str(error)), ""
        missing = {}
        for enforcement, check in self._checks.items():
            critical = [found for found in check(posture, rules) if found.severity is Severity.CRITICAL]
            if critical:
                missing[enforcement] = critical[0].detail
        return missing, posture.tools_unsafe

    def contained(self, agent: AgentId) -> str:
        """Return why an agent is contained at this very moment, or the empty string."""
        return self._lookups.contained(agent)

    def count(self, agent: AgentId) -> None:
        """Count one proposal of an agent, whatever becomes of it."""
        self._calls.setdefault(agent, deque()).append(self._clock.now())

    def _usage(self, agent: AgentId, now: float) -> Usage:
        calls = self._calls.get(agent, deque())
        while calls and calls[0] <= now - 86_400:
            calls.popleft()
        minute = 0
        for at in reversed(calls):
            if at <= now - 60:
                break
            minute += 1
        return Usage(minute, len(calls))


def _uses_tools(call: Call, rules: AgentPolicy) -> bool:
    """True if a program of the call is one of the agent's ``tools/``."""
    tools = f"{rules.layout.agent_root}/tools"
    commands = call.plan.commands if call.plan is not None else ()
    return any(command.program is not None and is_within(command.program.path, tools) for command in commands)
