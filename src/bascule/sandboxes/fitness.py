"""Whether a file worker is fit for use: its own words held against the kernel's, whatever made its box.

Stops: a worker being used whose box is not what policy demands.
"""

from __future__ import annotations

from dataclasses import replace

from bascule.core.confinement import Mount
from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.paths import BOX_ROOT, OWN_DIRECTORIES
from bascule.core.policy import AgentPolicy, Backend
from bascule.core.posture import Posture
from bascule.sandboxes.bound import is_bare
from bascule.sandboxes.hello import Expected, Hello, Root, posture
from bascule.sandboxes.warden.client import Measurement
from bascule.sandboxes.warden.stage import granted_binds


def held_against(hello: Hello, measured: Measurement, uid: int, gateway_uid: int, *, bridged: bool = False) -> Posture:
    """Hold what a worker says of itself against what the warden measured from outside.

    Args:
        hello: the worker's words.
        measured: the kernel's.
        uid: the agent's kernel uid.
        gateway_uid: the gateway's.
        bridged: policy puts the box on a bridge.
    """
    inside = posture(
        hello,
        Expected(uid, gateway_uid, single=uid == gateway_uid, bridged=bridged),
        memory_limit=measured.memory_limit,
        pids_limit=measured.pids_limit,
        cpus_limit=measured.cpus_limit,
    )
    problems = list(inside.problems)
    if measured.kernel_uid != uid:
        problems.append(f"the kernel says uid {measured.kernel_uid}, not {uid}")
    if measured.capabilities or measured.seccomp != 2 or not measured.no_new_privs:
        problems.append("seen from outside, it has capabilities, no filter or may gain privileges")
    return replace(inside, problems=tuple(problems), groups=measured.groups, tools_unsafe=measured.tools)


def check_ground(agent: AgentId, measured: Measurement, backend: Backend) -> None:
    """Refuse an agent whose programs the warden would give something else to stand on than policy says.

    Only a policy that changed while its gateway started can bring that about: the warden was told once, at its start.

    Raises:
        Unavailable: ``bare_host_differs``.
    """
    named = backend is Backend.UNSAFE_NONE
    if measured.on_host != named:
        said, does = ("the bare host", "a box") if named else (f"boxes of {backend.value}", "the bare host")
        raise Unavailable(
            "bare_host_differs",
            f"policy gives programs of {agent} {said}, and the warden was started to give them {does}",
            "run: bascule gateway restart",
        )


class Unfit(Unavailable):
    """A worker came up and failed its self-test; the posture says how."""

    def __init__(self, found: Posture) -> None:
        super().__init__(
            "worker_unfit", f"the file worker failed its self-test: {found.problems[0]}", "see: bascule sandbox probe"
        )
        self.posture = found


def roots(policy: AgentPolicy, mounts: tuple[Mount, ...], *, writable: bool) -> tuple[Root, ...]:
    """The places a worker may use, as it sees them."""
    granted = granted_binds(mounts, f"{policy.layout.home}/shared")
    own = () if is_bare(policy) else OWN_DIRECTORIES
    return (
        Root(BOX_ROOT),
        *(Root(f"{BOX_ROOT}/{name}", writable) for name in own),
        *(Root(bind.target, bind.writable) for bind in granted),
    )
