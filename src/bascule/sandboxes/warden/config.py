"""What a warden is told once, before it takes requests, by whoever started it with full rights.

Stops: a gateway choosing uids, territory or filters of system calls, or having programs run on the bare host that
policy keeps in boxes: all of it comes from here and no request can name it.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bascule.core.canonical import Json, read_arguments
from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.sandboxes.warden.messages import Territory

_EXTENSIONS = ("_ctypes", "_struct", "resource", "_sha256", "_sha2", "_hashlib")
"""Extension modules whose shared libraries a file worker may load."""

ENGINE = "/run/docker.sock"
"""Where a Docker engine listens unless ``DOCKER_HOST`` says otherwise."""

_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from bascule.sandboxes.warden.process import main; main(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))"
)


@dataclass(frozen=True, slots=True)
class WardenConfig:
    """A warden's whole knowledge.

    Attributes:
        home: absolute path of the Bascule home, links resolved.
        agents: kernel uid (as the host counts) of every agent.
        gateway_uid: kernel uid of the gateway.
        protected: trees no box is given.
        canary: a file only the gateway may read.
        worker_code: folder of the file worker's modules.
        python: the Python program, links resolved.
        library: Python's standard library.
        extensions: extension modules whose shared libraries are needed.
        bubblewrap: the ``bwrap`` program.
        engine: the Docker engine's socket.
        filters: path and hex SHA-256 of the operator's filter of system calls, by agent; its containers have it.
        single: every agent has the gateway's uid, the only one that is mapped; policy calls this unsafe.
        bridged: agents whose containers may be put on the engine's bridge; policy calls this unsafe.
        on_host: agents whose programs get the machine's own tree; policy calls this ``unsafe_none``.
    """

    home: str
    agents: Mapping[AgentId, int]
    gateway_uid: int
    protected: tuple[str, ...]
    canary: str
    worker_code: str
    python: str
    library: str
    extensions: tuple[str, ...]
    bubblewrap: str = "/usr/bin/bwrap"
    engine: str = ENGINE
    single: bool = False
    bridged: frozenset[AgentId] = frozenset()
    on_host: frozenset[AgentId] = frozenset()
    filters: Mapping[AgentId, tuple[str, str]] = field(default_factory=dict)

    @property
    def territory(self) -> Territory:
        """For refusing sources."""
        return Territory(self.home, self.protected)


def config_here(
    home: str, agents: Mapping[AgentId, int], gateway_uid: int, *, protected: tuple[str, ...] = (), canary: str
) -> WardenConfig:
    """Return the configuration for this very Python and installation; arguments as in :class:`WardenConfig`."""
    library = str(Path(sysconfig.get_path("stdlib")).resolve())
    folder = Path(library) / "lib-dynload"
    suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
    found = tuple(str(folder / (name + suffix)) for name in _EXTENSIONS if (folder / (name + suffix)).exists())
    worker = str(Path(__file__).resolve().parent.parent / "worker")
    python = str(Path(sys.executable).resolve())
    single = bool(agents) and set(agents.values()) == {gateway_uid}
    return WardenConfig(home, agents, gateway_uid, protected, canary, worker, python, library, found, single=single)


def warden_command(config: WardenConfig, descriptor: int) -> tuple[str, ...]:
    """Return the words that start a warden which answers on an inherited socket; one more follows.

    The last word, added by whoever starts it, is a descriptor of the host's ``/proc``, -1 for none: the warden's own
    ``/proc`` shows only what it made itself.

    Args:
        config: what it is told.
        descriptor: its end of a ``SOCK_SEQPACKET`` pair.
    """
    source = str(Path(__file__).resolve().parents[3])
    return (config.python, "-I", "-S", "-B", "-c", _BOOTSTRAP, source, str(descriptor), write_config(config))


_TEXTS = ("home", "canary", "worker_code", "python", "library", "bubblewrap", "engine")
_LISTS = ("protected", "extensions")
_SETS = ("bridged", "on_host")


def write_config(config: WardenConfig) -> str:
    """Return a configuration as JSON."""
    body: dict[str, Json] = {name: str(getattr(config, name)) for name in _TEXTS}
    body |= {name: list(getattr(config, name)) for name in _LISTS}
    body |= {name: sorted(map(str, getattr(config, name))) for name in _SETS}
    body |= {"agents": {str(name): uid for name, uid in config.agents.items()}, "gateway_uid": config.gateway_uid}
    body["single"] = config.single
    body["filters"] = {str(name): list(pin) for name, pin in config.filters.items()}
    return json.dumps(body)


def read_config(text: str) -> WardenConfig:
    """Return the configuration of :func:`write_config`.

    Raises:
        Malformed: a missing or foreign field.
    """
    body = read_arguments(text)
    agents, gateway, single = body.get("agents"), body.get("gateway_uid"), body.get("single")
    texts = {name: body.get(name) for name in _TEXTS}
    lists = {name: body.get(name) for name in (*_LISTS, *_SETS)}
    if not isinstance(agents, Mapping) or not isinstance(gateway, int) or len(body) != len(texts) + len(lists) + 4:
        raise Malformed("warden_config", "the warden's configuration is incomplete")
    if not all(isinstance(item, str) and item.startswith("/") for item in texts.values()):
        raise Malformed("warden_config", "the warden's configuration names a path that is not absolute")
    uids = {AgentId(name): uid for name, uid in agents.items() if isinstance(uid, int) and uid > 0}
    expected = {True: 1, False: len(uids) + 1}.get(single) if isinstance(single, bool) else None
    if len(uids) != len(agents) or len({*uids.values(), gateway}) != expected:
        raise Malformed("warden_config", "every agent needs a kernel uid of its own, neither 0 nor the gateway's")
    paths = {name: tuple(str(item) for item in value) for name, value in lists.items() if isinstance(value, list)}
    if len(paths) != len(lists) or not uids.keys() >= {*paths["bridged"], *paths["on_host"]}:
        raise Malformed("warden_config", "the warden's configuration names an agent that has no account")
    if paths["on_host"] and single:
        raise Malformed("warden_config", "only an agent with an account of its own may be on the bare host")
    return WardenConfig(
        home=str(texts["home"]),
        agents=uids,
        gateway_uid=gateway,
        protected=paths["protected"],
        canary=str(texts["canary"]),
        worker_code=str(texts["worker_code"]),
        python=str(texts["python"]),
        library=str(texts["library"]),
        extensions=paths["extensions"],
        bubblewrap=str(texts["bubblewrap"]),
        engine=str(texts["engine"]),
        single=single is True,
        bridged=frozenset(AgentId(name) for name in paths["bridged"]),
        on_host=frozenset(AgentId(name) for name in paths["on_host"]),
        filters=_filters(body.get("filters"), uids),
    )


def _filters(value: Json, agents: Mapping[AgentId, int]) -> Mapping[AgentId, tuple[str, str]]:
    if not isinstance(value, Mapping):
        raise Malformed("warden_config", "the warden's configuration is incomplete")
    found: dict[AgentId, tuple[str, str]] = {}
    for name, pin in value.items():
        path, digest = pin if isinstance(pin, list) and len(pin) == 2 else (None, None)
        if not isinstance(path, str) or not path.startswith("/") or not isinstance(digest, str) or name not in agents:
            raise Malformed("warden_config", "the warden's configuration names a filter that is none")
        found[AgentId(name)] = (path, digest)
    return found


def engine_socket(host: str) -> str:
    """Return the engine's socket that ``DOCKER_HOST`` names; an empty value names the usual one.

    Raises:
        Malformed: anything but a unix socket by absolute path.
    """
    if not host:
        return ENGINE
    path = host.removeprefix("unix://")
    if not host.startswith("unix:///") or "\0" in path:
        raise Malformed(
            "docker_host",
            f"DOCKER_HOST={host[:100]} is no unix socket, and Bascule speaks to no other",
            "write unix:///…, or unset it",
        )
    return path
