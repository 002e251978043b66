"""What a container is made from, out of policy and this machine: its request, and the digest that tells two apart.

Stops: a container going on that would now be made otherwise; one on a bridge also once this machine has another public
address, which its packet rules do not know. Does not look at a container.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from bascule.core.addresses import kind_of
from bascule.core.confinement import Mount
from bascule.core.errors import Unavailable
from bascule.core.policy import RAW_BRIDGE, AgentPolicy
from bascule.linux.host_addresses import own_addresses
from bascule.sandboxes.bound import is_bare, standing_mounts
from bascule.sandboxes.warden.container_requests import Contain

Addresses = Callable[[], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Wanting:
    """What is so apart from policy.

    Attributes:
        image: id of the agent's image, empty if it has none.
        uid: the agent's kernel uid.
        has_way: somebody answers at its proxy.
        tools_safe: ``tools/`` may be mounted.
    """

    image: str
    uid: int
    has_way: bool
    tools_safe: bool

    def digest(self, rules: AgentPolicy, addresses: Addresses = own_addresses) -> str:
        """Identify all that a container is made from; how long it is kept is looked up anew each time.

        Args:
            rules: the agent's.
            addresses: networks of this machine.

        Raises:
            Unavailable: a container on a bridge, and nobody knows this machine's addresses.
        """
        docker = replace(rules.sandbox.docker, idle_seconds=0, age_seconds=0)
        box = replace(rules.sandbox, docker=docker, warm=False)
        near = _public(addresses) if is_bridged(rules) else ()
        seen = (box, self.image, rules.layout, self.tools_safe, self.uid, self.has_way, near)
        return hashlib.sha256(repr(seen).encode()).hexdigest()

    def request(self, rules: AgentPolicy, place: str, digest: str, mounts: tuple[Mount, ...]) -> Contain:
        """Return what the warden is asked for.

        Args:
            rules: the agent's.
            place: where it connects.
            digest: of its configuration.
            mounts: what a call was granted.
        """
        box = rules.sandbox
        return Contain(
            0, rules.id, place, box.docker.image, digest, box.workspace_access == "rw",
            standing_mounts(rules, mounts), box.limits, is_bare(rules),
            self.has_way, box.outfit, is_bridged(rules), box.docker.dns,
        )  # fmt: skip


def is_bridged(rules: AgentPolicy) -> bool:
    """True if policy puts an agent's containers on the engine's bridge."""
    return rules.sandbox.network == RAW_BRIDGE


def _public(addresses: Addresses) -> tuple[str, ...]:
    """This machine's networks that no table holds: the others are refused whatever their number."""
    try:
        return tuple(sorted(network for network in addresses() if not kind_of(network.partition("/")[0])))
    except (OSError, ValueError) as error:
        raise Unavailable("bridge_rules", f"this machine's own addresses are not known: {error}") from None
