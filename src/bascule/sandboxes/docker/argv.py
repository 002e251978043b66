"""The body that makes a container, from values: all that Docker is ever asked for.

Stops: an option of a container depending on anything but what was decided here. Nothing of a policy becomes a key of
its own: a container is never privileged, joins no namespace of the host, gets no device and no capability, starts
without a network, and its root is read-only. Docker's own default filter stays in force, or one of the operator's from
which all that it refuses was taken. Does not stop Docker following a link that stands in a source's way: the warden
compares what was mounted with what it had opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.core.canonical import Json
from bascule.core.confinement import Limits
from bascule.sandboxes.warden.stage import Bind

LABEL_HOME, LABEL_AGENT, LABEL_WARDEN = "bascule.home", "bascule.agent", "bascule.warden"
LABEL_PLACE, LABEL_DIGEST = "bascule.place", "bascule.digest"
LABELS = (LABEL_HOME, LABEL_AGENT, LABEL_WARDEN, LABEL_PLACE, LABEL_DIGEST)
"""By which containers are found again, whoever made them."""

OWN_PROCESSES = 4
"""Processes of a container besides the programs': the resident, the file worker, and one of each just made."""

OWN_MEMORY = 48 << 20
"""Bytes for those, besides what the programs may use."""

SCRATCHES = ("/tmp", "/dev/shm")  # noqa: S108 -- the container's own
"""Places programs may write to; the resident empties them after every call."""

PLACE = "/run/bascule"
"""Where a container finds the socket its resident connects to."""

LINE = f"{PLACE}/line"

PYTHON = "/usr/bin/python3"
"""What an image must have, 3.11 or newer."""

_START = "import sys; sys.path.append(sys.argv[1]); from bascule.sandboxes.resident.main import main; main(sys.argv[2])"


@dataclass(frozen=True, slots=True)
class Container:
    """One container to make.

    Attributes:
        image: its id, ``sha256:`` and 64 digits.
        uid: kernel uid, and gid, of its processes.
        binds: what of the host it sees.
        covered: places in it that are covered by emptiness.
        limits: of all its processes together.
        scratch_bytes: size of each scratch place.
        labels: by name, all of :data:`LABELS`.
        scratches: further such places, with their bytes.
        seccomp: the operator's filter of system calls as JSON text; empty for the engine's own default.
        joins: it can be put into a network once it stands; until then, and otherwise, it has none.
    """

    image: str
    uid: int
    binds: tuple[Bind, ...]
    covered: tuple[str, ...]
    limits: Limits
    scratch_bytes: int
    labels: Mapping[str, str]
    scratches: Mapping[str, int] = field(default_factory=dict)
    seccomp: str = ""
    joins: bool = False


def resident_argv(code: str) -> tuple[str, ...]:
    """The words of a container's first process; ``code`` is where it finds ours."""
    return (PYTHON, "-I", "-S", "-B", "-X", "utf8", "-X", "no_debug_ranges", "-c", _START, code, LINE)


def container_body(wanted: Container, code: str) -> dict[str, Json]:
    """Return the body of ``POST /containers/create`` (Docker Engine API 1.41).

    Args:
        wanted: the container.
        code: where it finds our modules.
    """
    user = f"{wanted.uid}:{wanted.uid}"
    return {
        "Image": wanted.image,
        "User": user,
        "Entrypoint": [],
        "Cmd": list(resident_argv(code)),
        "Env": [],
        "WorkingDir": "/",
        "Hostname": "box",
        "NetworkDisabled": not wanted.joins,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "Labels": dict(wanted.labels),
        "HostConfig": _host(wanted),
    }


def _host(wanted: Container) -> dict[str, Json]:
    memory = wanted.limits.memory_bytes + OWN_MEMORY
    quota, period = wanted.limits.quota()
    sizes = {**dict.fromkeys(SCRATCHES, wanted.scratch_bytes), **wanted.scratches}
    tmpfs: dict[str, Json] = {place: f"rw,noexec,nosuid,nodev,mode=1777,size={size}" for place, size in sizes.items()}
    tmpfs |= dict.fromkeys(wanted.covered, "ro,noexec,nosuid,nodev,mode=0755,size=4096")
    return {
        "AutoRemove": True,
        "CapAdd": [],
        "CapDrop": ["ALL"],
        "CgroupnsMode": "private",
        "CpuPeriod": period,
        "CpuQuota": quota,
        "Devices": [],
        "Init": False,
        "IpcMode": "none",
        "LogConfig": {"Type": "none", "Config": {}},
        "Memory": memory,
        "MemorySwap": memory,
        "Mounts": [_mount(bind) for bind in wanted.binds],
        "NetworkMode": "none",
        "OomScoreAdj": 0,
        "PidsLimit": wanted.limits.pids + OWN_PROCESSES,
        "Privileged": False,
        "PublishAllPorts": False,
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "SecurityOpt": ["no-new-privileges:true", *([f"seccomp={wanted.seccomp}"] if wanted.seccomp else [])],
        "Tmpfs": tmpfs,
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}, {"Name": "nofile", "Soft": 1024, "Hard": 1024}],
    }


def _mount(bind: Bind) -> dict[str, Json]:
    return {
        "Type": "bind",
        "Source": bind.source,
        "Target": bind.target,
        "ReadOnly": not bind.writable,
        "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
    }
