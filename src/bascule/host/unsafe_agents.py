"""The agents whose compiled policy gives them what is called unsafe, for a warden that will believe nobody else later.

Stops: a gateway that was taken over choosing for itself whose containers get a raw bridge and whose programs run on the
bare host. The policy is compiled only
where its text speaks of such a thing at all, for a start should be quick. Does not stop: a policy that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bascule.core.ids import AgentId
from bascule.core.policy import RAW_BRIDGE, AgentPolicy, Backend
from bascule.host.policy_file import read_policy_file
from bascule.host.site import site_of
from bascule.policy.json5 import read
from bascule.policy.places import CONFIG_NAME

_WORDS = frozenset({RAW_BRIDGE, "unsafe_none", "unsafe-none"})
"""What names something unsafe, in every spelling that counts."""


def unsafe_agents(home: Path) -> tuple[AgentPolicy, ...]:
    """Return the compiled rules of every agent if the policy of a home speaks of something unsafe, else nothing.

    Raises:
        BasculeError: it speaks of it and does not compile.
    """
    text = read_policy_file(site_of(home).config / CONFIG_NAME)
    if text is None or not _speaks_of(read(text, CONFIG_NAME).value):
        return ()
    from bascule.host.policy_files import load  # noqa: PLC0415 -- compiling costs what no other start has to pay

    return tuple(load(home).policy.agents.values())


def bridged(agents: tuple[AgentPolicy, ...]) -> frozenset[AgentId]:
    """Return the agents whose network is the raw bridge."""
    return frozenset(agent.id for agent in agents if agent.sandbox.network == RAW_BRIDGE)


def on_host(agents: tuple[AgentPolicy, ...]) -> frozenset[AgentId]:
    """Return the agents whose programs run on the bare host."""
    return frozenset(agent.id for agent in agents if agent.sandbox.backend is Backend.UNSAFE_NONE)


def _speaks_of(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _WORDS
    if isinstance(value, Mapping):
        return any(map(_speaks_of, value.values()))
    return isinstance(value, tuple | list) and any(map(_speaks_of, value))
