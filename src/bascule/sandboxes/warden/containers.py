"""The warden's containers: made from values, tightened from outside, looked at by the kernel's word, removed.

Stops: what Docker leaves open: its binds let programs be run and follow links. Every source is opened first without
following links, and once the container stands, before anything of an agent's runs in it, each mount is compared with
what was opened, made nosuid, nodev and noexec, and the root made nosuid. A container that differs is removed. Does not
stop Docker itself, which is root.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bascule.core.canonical import Json
from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.core.ids import AgentId
from bascule.core.paths import BOX_ROOT, is_within
from bascule.linux.calls import open_without_links
from bascule.sandboxes.docker.argv import (
    LABEL_AGENT,
    LABEL_DIGEST,
    LABEL_HOME,
    LABEL_PLACE,
    LABEL_WARDEN,
    PLACE,
    SCRATCHES,
    Container,
    container_body,
)
from bascule.sandboxes.docker.callfilter import CallFilters
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.docker.record import FILE, Image, read
from bascule.sandboxes.warden import name_service
from bascule.sandboxes.warden.accounts import IdMap, Measured, read_status
from bascule.sandboxes.warden.config import WardenConfig
from bascule.sandboxes.warden.container_bridge import put_on_bridge
from bascule.sandboxes.warden.container_requests import Contain, Discharge, ListContainers
from bascule.sandboxes.warden.container_way import send_listener
from bascule.sandboxes.warden.endings import Endings, group_of
from bascule.sandboxes.warden.errands import Errands
from bascule.sandboxes.warden.limits import in_force
from bascule.sandboxes.warden.outfits import further_scratches, main_scratch
from bascule.sandboxes.warden.sources import unopened
from bascule.sandboxes.warden.stage import (
    BOX_CANARY,
    BOX_CODE,
    Agent,
    Bind,
    container_binds,
    identity_files,
    own_binds,
    secrets_in,
)
from bascule.sandboxes.warden.tightening import Source, tighten

_REMOVAL_SECONDS = 15.0
_SCRATCH_BYTES = 64 << 20
_ENDED = Unavailable(
    "container_ended", "the container ended at once; is there a Python 3.11 in its image?", "bascule sandbox build"
)
_CODE = (
    ("", "sandboxes/worker"),
    ("/../resident", "sandboxes/resident"),
    ("/../../core/errors.py", "core/errors.py"),
)
"""What a resident imports, from the worker's folder, and where it finds it."""


@dataclass(slots=True)
class Containers:
    """Does the jobs, each in a process of its own: only the handles to end containers by are kept."""

    config: WardenConfig
    proc: int
    ids: IdMap
    warden: str = field(default_factory=lambda: os.urandom(8).hex())
    has_contained: bool = False
    endings: Endings = field(default_factory=Endings)
    filters: CallFilters = field(init=False)

    def __post_init__(self) -> None:
        """Read the operator's filters, once."""
        self.filters = CallFilters(self.config.filters)

    def _engine(self) -> Engine:
        if self.proc < 0 or self.ids.ranges != IdMap.parse("0 0 4294967295").ranges:
            raise Unavailable(
                "docker_needs_root",
                "the Docker backend needs a warden that is root, which alone can check what Docker mounted",
                "start the gateway as root, or set sandbox.backend to bubblewrap",
            )
        return Engine(self.config.engine)

    def job(
        self, request: Contain | Discharge | ListContainers, agent: Callable[[AgentId], Agent], way: int | None
    ) -> Callable[[], Mapping[str, Json]]:
        """Return what carries a request out, in a process of its own.

        Args:
            request: what is asked.
            agent: finds an agent.
            way: socket for the listener of a container that has a way out.

        Raises:
            Malformed: an agent nobody knows.
        """
        if isinstance(request, Contain):
            whose = agent(request.agent)
            self.has_contained = True
            return lambda: self.contain(request, whose, way)
        if isinstance(request, Discharge):
            self.endings.kill(request.agent, request.place)
            return lambda: self.discharge(request)
        return self.list

    def heard(self, request: Contain | Discharge | ListContainers, said: Mapping[str, Json]) -> Mapping[str, Json]:
        """Take note of what a job came to; return what the gateway is told of it."""
        if isinstance(request, Contain):
            self.endings.hold(request.place, request.agent, str(said.get("group", "")))
        return {name: value for name, value in said.items() if name != "group"}

    def leave_nothing(self, errands: Errands) -> None:
        """Remove every container, if any was made; returns when that is done or has failed."""
        self.endings.kill(None)
        if self.has_contained:
            errands.begin(0, lambda: self.discharge(Discharge(0, None)))

    def contain(self, request: Contain, agent: Agent, way: int | None = None) -> Mapping[str, Json]:
        """Make a container, tighten it, measure it, and give it its way out, if it has one.

        Raises:
            BasculeError: it cannot be had as it must be; nothing of it is left.
        """
        engine = self._engine()
        if request.bridge and request.agent not in self.config.bridged:
            raise Malformed("bridge_refused", f"no policy this warden was started with gives {request.agent} a bridge")
        for mount in request.mounts:
            self.config.territory.check_mount(mount)
        image, calls = self._image(request.image), self.filters.of(request.agent)
        agent = replace(agent, bare=request.bare)
        scratches = further_scratches(request.outfit, request.limits.memory_bytes)
        granted = container_binds(request.mounts, f"{self.config.home}/shared", scratches)
        binds = tuple(_shut_in_scratch(bind) for bind in (*granted, *self._binds(request, agent)))
        sources = [_open(bind) for bind in binds]
        ways = way, name_service.files(name_service.servers(request.dns)) if request.bridge else {}
        try:
            self._sweep(engine)
            wanted = Container(
                image.id,
                agent.uid,
                binds,
                _covered(agent),
                request.limits,
                main_scratch(request.outfit, _SCRATCH_BYTES, request.limits.memory_bytes),
                {
                    LABEL_HOME: self.config.home,
                    LABEL_AGENT: request.agent,
                    LABEL_WARDEN: self.warden,
                    LABEL_PLACE: request.place,
                    LABEL_DIGEST: request.digest,
                },
                scratches,
                calls,
                request.bridge,
            )
            name = f"bascule-{request.agent}-{request.place[:12]}"
            made = self._create(engine, name, wanted)
            try:
                engine.start(made)
                return {"container": made, **self._finish(engine, made, wanted, (sources, secrets_in(granted)), ways)}
            except BaseException as error:
                with contextlib.suppress(BasculeError):
                    engine.remove(made)
                if isinstance(error, Unavailable) and calls and error.code in (_ENDED.code, "docker_refused"):
                    raise _stifled(error) from None
                if isinstance(error, Unavailable) and error.code == _ENDED.code:
                    raise _ENDED from None  # wherever that was noticed
                raise
        finally:
            for source in sources:
                os.close(source.descriptor)

    def _image(self, name: str) -> Image:
        try:
            recorded = read(Path(self.config.home, FILE).read_text("utf-8"))
        except FileNotFoundError:
            recorded = {}
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable("image_record", f"the record of images cannot be read: {error}") from None
        image = recorded.get(name)
        if image is None:
            raise Unavailable("image_unknown", f"the image {name} was never built or fetched", "bascule sandbox build")
        return image

    @staticmethod
    def _create(engine: Engine, name: str, wanted: Container) -> str:
        """Make a container. Its image is named by its own digest: there is that image or none."""
        try:
            return engine.create(name, container_body(wanted, BOX_CODE))[0]
        except Unavailable:
            found = engine.image(wanted.image)
            if found is None or found.get("Id") != wanted.image:
                raise Unavailable(
                    "image_missing", f"Docker no longer has the image {wanted.image[:19]}", "bascule sandbox build"
                ) from None
            raise

    def _binds(self, request: Contain, agent: Agent) -> list[Bind]:
        binds = [*code_binds(self.config.worker_code), Bind(self.config.canary, BOX_CANARY)]
        binds.append(Bind(f"{self.config.home}/state/boxes/{request.place}", PLACE))
        for place in (BOX_ROOT, agent.root):
            own = own_binds(agent, place, writable=request.writable)
            # To be run too: which of them a program may run is held by Landlock, for mounts outlive the call.
            binds += [replace(bind, executable=bind.target == f"{place}/tools") for bind in own]
        return binds

    def _sweep(self, engine: Engine) -> None:
        """Remove what a warden that is gone left behind."""
        for found in engine.containers({LABEL_HOME: self.config.home}):
            if _labels(found).get(LABEL_WARDEN) != self.warden:
                engine.remove(str(found["Id"]))

    def _finish(
        self,
        engine: Engine,
        made: str,
        wanted: Container,
        seen: tuple[list[Source], tuple[str, ...]],
        ways: tuple[int | None, Mapping[str, str]],
    ) -> Mapping[str, Json]:
        """Do what is left to do from outside; ``ways``: the socket for its listener, and its name service's files."""
        found = engine.inspect(made)
        state = found.get("State", {}) if found else {}
        pid = state.get("Pid") if isinstance(state, Mapping) else 0
        if not isinstance(pid, int) or pid <= 0:
            raise _ENDED
        process = self._process(pid)
        try:
            way, names = ways
            tighten(process, *seen, {**identity_files(wanted.uid), **names})
            measured = self._measure(process)
            held = in_force(process)
            if way is not None:
                send_listener(process, way)
            if wanted.joins:
                put_on_bridge(engine, made, process)
        finally:
            os.close(process)
        return {
            "group": group_of(self.proc, pid, made),
            "kernel_uid": measured.uid,
            "capabilities": measured.capabilities,
            "seccomp": measured.seccomp,
            "no_new_privs": measured.no_new_privs,
            # Docker puts every user into its own group once more.
            "groups": [group for group in measured.groups if group != wanted.uid],
            "memory_limit": held.memory,
            "pids_limit": held.pids,
            "cpus_limit": held.cpus,
        }

    def _process(self, pid: int) -> int:
        """Hold one process: what is looked up by this descriptor is of no other that gets its number later."""
        try:
            return os.open(str(pid), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.proc)
        except OSError as error:
            raise Unavailable("container_ended", f"the container is gone: {error.strerror}") from None

    def _measure(self, process: int) -> Measured:
        try:
            descriptor = os.open("status", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
            with open(descriptor, encoding="ascii") as status:
                return read_status(status.read(), self.ids)
        except (OSError, ValueError):
            raise Unavailable("container_ended", "the container ended while it was measured") from None

    def discharge(self, request: Discharge) -> Mapping[str, Json]:
        """Remove containers of this home.

        Raises:
            Unavailable: Docker does not answer.
        """
        wanted = {LABEL_HOME: self.config.home}
        wanted |= {LABEL_AGENT: request.agent} if request.agent is not None else {}
        wanted |= {LABEL_PLACE: request.place} if request.place else {}
        engine = self._engine()
        end = time.monotonic() + _REMOVAL_SECONDS
        while left := engine.containers(wanted):
            if time.monotonic() > end:
                raise Unavailable("docker_silent", f"Docker does not remove {len(left)} containers")
            for found in left:
                engine.remove(str(found["Id"]))
            # One that is being removed already is not gone yet.
            time.sleep(0.01)
        return {}

    def list(self) -> Mapping[str, Json]:
        """Say which containers of this home there are.

        Raises:
            Unavailable: Docker does not answer.
        """
        rows: list[Json] = []
        for found in self._engine().containers({LABEL_HOME: self.config.home}):
            labels = _labels(found)
            rows.append(
                {
                    "id": str(found.get("Id")),
                    "agent": labels.get(LABEL_AGENT, ""),
                    "place": labels.get(LABEL_PLACE, ""),
                    "state": str(found.get("State")),
                    "created": int(found.get("Created") or 0),
                    "image": str(found.get("ImageID")),
                    "orphan": labels.get(LABEL_WARDEN) != self.warden,
                }
            )
        return {"containers": rows}


def code_binds(worker_code: str) -> list[Bind]:
    """Return what a container's first process finds of ours; ``worker_code`` is the worker's folder."""
    return [Bind(os.path.normpath(worker_code + way), f"{BOX_CODE}/bascule/{place}") for way, place in _CODE]


def _stifled(error: Unavailable) -> Unavailable:
    """Name what is new about a container that does not live: others from the same image do."""
    return Unavailable(
        _ENDED.code,
        f"the container ended at once; its docker.seccompProfile may refuse what it needs ({error.message[:200]})",
        "start from Docker's own default profile and take calls away",
    )


def _shut_in_scratch(bind: Bind) -> Bind:
    """Make read-only what stands in a scratch place: of what lies there a program may write all that its mount lets it.

    Only the operator's name of a directory can lie there, and only of a home below ``/tmp``; by its name in the box it
    is written as ever.
    """
    return replace(bind, writable=False) if any(is_within(bind.target, place) for place in SCRATCHES) else bind


def _covered(agent: Agent) -> tuple[str, ...]:
    if agent.bare:
        return (BOX_ROOT,)
    return () if agent.tools_safe else tuple(f"{place}/tools" for place in (BOX_ROOT, agent.root))


def _labels(found: Mapping[str, object]) -> Mapping[str, str]:
    labels = found.get("Labels")
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {}


def _open(bind: Bind) -> Source:
    if ":" in bind.source or "," in bind.source:
        raise Malformed("mount_refused", f"{bind.source[:200]}: Docker cannot be told of a path with ':' or ','")
    try:
        descriptor = open_without_links(bind.source, os.O_PATH)
    except OSError as error:
        raise unopened(bind.source, error) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        os.close(descriptor)
        raise Unavailable("box_source", f"{bind.source} is neither a regular file nor a directory")
    return Source(descriptor, bind)
