"""The part of the warden's language that is about containers: make one, remove some, list them, look at ``tools/``.

Stops: a gateway that was taken over asking Docker for anything but an agent's own container: there is no field for an
option of Docker's, an image's id, a uid, a command or an environment, and no mount target where a box has its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bascule.core.canonical import Json
from bascule.core.confinement import Limits, Mount
from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.core.outfit import PLAIN, Outfit
from bascule.sandboxes.docker.record import is_name
from bascule.sandboxes.warden import name_service, outfits, values

_PLACE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Contain:
    """Make and start an agent's container.

    Attributes:
        id: number the answer carries.
        agent: whose account.
        place: names the gateway's directory its resident connects in, 32 hex digits.
        image: name in the home's record of images.
        digest: of the configuration it is made from, kept as a label.
        writable: the agent's own directories are writable.
        mounts: operator paths: those of every box of the agent, and for a container that lasts for one call its own.
        limits: of all its programs together.
        bare: nothing of the agent's own directory is in it.
        proxy: its network is not quite empty: one port on loopback, whose listener goes to the gateway.
        outfit: its scratch places count; variables come with each program.
        bridge: it is put on the engine's bridge, where packets go to public addresses only.
        dns: name servers it asks there; none for those of the machine that are public.
    """

    id: int
    agent: AgentId
    place: str
    image: str
    digest: str
    writable: bool
    mounts: tuple[Mount, ...]
    limits: Limits
    bare: bool = False
    proxy: bool = False
    outfit: Outfit = PLAIN
    bridge: bool = False
    dns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Discharge:
    """Remove containers of this home: of one agent, at one place, or all; answered when they are gone."""

    id: int
    agent: AgentId | None
    place: str = ""


@dataclass(frozen=True, slots=True)
class ListContainers:
    """Say which containers of this home there are."""

    id: int


@dataclass(frozen=True, slots=True)
class CheckTools:
    """Say why an agent's ``tools/`` may not be mounted."""

    id: int
    agent: AgentId


ContainerRequest: TypeAlias = Contain | Discharge | ListContainers | CheckTools

FIELDS: Mapping[str, frozenset[str]] = {
    "contain": frozenset(
        {
            "id",
            "op",
            "agent",
            "place",
            "image",
            "digest",
            "writable",
            "mounts",
            "limits",
            "bare",
            "outfit",
            "proxy",
            "bridge",
            "dns",
        }
    ),
    "discharge": frozenset({"id", "op", "agent", "place"}),
    "containers": frozenset({"id", "op"}),
    "tools": frozenset({"id", "op", "agent"}),
}
"""What each operation has, exactly."""


def build(operation: str, fields: Mapping[str, Json]) -> ContainerRequest:
    """Return the request of an operation whose fields are all there.

    Raises:
        Malformed: a value out of bounds.
    """
    number = values.integer(fields, "id", 0)
    if operation == "containers":
        return ListContainers(number)
    if operation == "tools":
        return CheckTools(number, values.agent(fields))
    if operation == "discharge":
        agent = None if fields["agent"] is None else values.agent(fields)
        return Discharge(number, agent, "" if fields["place"] == "" else _matching(fields, "place", _PLACE))
    image = fields["image"]
    if not isinstance(image, str) or not is_name(image):
        raise Malformed("warden_value", "image must be a name")
    proxy, bridge = values.boolean(fields, "proxy"), values.boolean(fields, "bridge")
    if proxy and bridge:
        raise Malformed("warden_value", "a container has the proxy or the bridge, not both")
    return Contain(
        number,
        values.agent(fields),
        _matching(fields, "place", _PLACE),
        image,
        _matching(fields, "digest", _DIGEST),
        values.boolean(fields, "writable"),
        values.mounts(fields["mounts"]),
        values.limits(fields["limits"]),
        values.boolean(fields, "bare"),
        proxy,
        outfits.outfit(fields["outfit"]),
        bridge,
        _servers(fields["dns"]),
    )


def _servers(untrusted_value: Json) -> tuple[str, ...]:
    if not isinstance(untrusted_value, list) or len(untrusted_value) > name_service.MOST:
        raise Malformed("warden_value", f"dns must be a list of at most {name_service.MOST}")
    if not all(map(name_service.is_server, untrusted_value)):
        raise Malformed("warden_value", "dns must hold public IPv4 addresses")
    return tuple(str(server) for server in untrusted_value)


def _matching(fields: Mapping[str, Json], name: str, pattern: re.Pattern[str]) -> str:
    value = fields[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Malformed("warden_value", f"{name} must be hex digits")
    return value


def write_body(request: ContainerRequest) -> dict[str, Json]:
    """Return a request's fields besides ``id``; :func:`build` is its inverse."""
    if isinstance(request, ListContainers):
        return {"op": "containers"}
    if isinstance(request, CheckTools):
        return {"op": "tools", "agent": request.agent}
    if isinstance(request, Discharge):
        return {"op": "discharge", "agent": request.agent, "place": request.place}
    return {
        "op": "contain",
        "agent": request.agent,
        "place": request.place,
        "image": request.image,
        "digest": request.digest,
        "writable": request.writable,
        "mounts": values.mounts_json(request.mounts),
        "limits": values.limits_json(request.limits),
        "bare": request.bare,
        "outfit": outfits.outfit_json(request.outfit),
        "proxy": request.proxy,
        "bridge": request.bridge,
        "dns": list(request.dns),
    }
