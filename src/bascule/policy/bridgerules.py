"""What ``sandbox.network: unsafe_bridge`` needs and allows, and what an operator is told of it.

Stops: a raw bridge that nobody notices, or that another backend seems to carry; a name server of one's own network,
which nothing on the bridge reaches; ``dns`` being believed in where the gateway's proxy resolves names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from bascule.core.addresses import kind_of
from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.policy import RAW_BRIDGE, Backend
from bascule.policy.json5 import Document, Path, dotted

_MOST = 3
"""Name servers the C library looks at (``resolv.conf(5)``, ``MAXNS``)."""


def raw_bridge(network: str, backend: Backend, agent: str, document: Document, path: Path) -> Iterator[Finding]:
    """Say of an agent on a raw bridge what that is.

    Args:
        network: the agent's.
        backend: what makes its boxes.
        agent: its name.
        document: the file.
        path: where its section stands.

    Raises:
        Malformed: ``policy_schema``, a backend that has none.
    """
    if network != RAW_BRIDGE:
        return
    if backend is not Backend.DOCKER:
        problem = "unsafe_bridge is a network of the docker backend"
        raise _refuse(document, (*path, "network"), problem, "use proxy, or set sandbox.backend to docker")
    detail = f"{agent}: programs reach every public address, with no host rule, no proxy and no record of it"
    yield Finding("sandbox.unsafe_bridge", Severity.CRITICAL, detail, "set sandbox.network to proxy")


def name_servers(named: Sequence[str] | None, network: str, document: Document, path: Path) -> tuple[str, ...]:
    """Return the name servers of an agent on a raw bridge.

    Args:
        named: ``docker.dns``, None if it is not there.
        network: the agent's.
        document: the file.
        path: where its section stands.

    Raises:
        Malformed: ``policy_schema``: nobody would ask them, or nothing would reach them.
    """
    if named is None:
        return ()
    where = (*path, "docker", "dns")
    if network != RAW_BRIDGE:
        problem = "is not carried out: names are resolved by the gateway's proxy, and by nothing in a box"
        raise _refuse(document, where, problem, "remove it")
    if len(named) > _MOST:
        raise _refuse(document, where, f"programs look at no more than {_MOST} name servers", "name fewer")
    for server in named:
        if kind_of(server) or str(ipaddress.ip_address(server)) != server or ":" in server:
            problem = f"{server[:60]} is no public IPv4 address, and a box on the bridge reaches no other"
            raise _refuse(document, where, problem, "name a public server, or remove it")
    return tuple(named)


def _refuse(document: Document, path: Path, problem: str, remedy: str) -> Malformed:
    return Malformed("policy_schema", f"{document.where(path)}: {dotted(path)}: {problem}", remedy)
