"""What a box said of itself when it started, so that layers can check claims against measurements."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.core.rights import Account


@dataclass(frozen=True, slots=True)
class Posture:
    """A box's self-test, measured from inside and from outside.

    Attributes:
        kernel_uid: uid as the host's kernel sees it.
        gateway_uid: the gateway's.
        canary_denied: opening a file only the gateway may read gave EACCES.
        seccomp: value of ``Seccomp:`` in ``/proc/self/status``; 2 is filtering.
        capabilities: union of all capability sets, 0 for none.
        no_new_privs: the flag is set.
        routes: number of network routes seen.
        landlock_abi: ABI in force, 0 if none.
        memory_limit: bytes in force, 0 if no limit could be set.
        pids_limit: processes in force, 0 if no limit could be set.
        cpus_limit: thousandths of processors in force, 0 if no limit could be set.
        groups: supplementary kernel group ids.
        problems: what fell short, one line each; empty means fit for use.
        tools_unsafe: why ``tools/`` may not be mounted, empty if it may; the rest of the box is fit even so.
        account: what the machine's tables grant the agent's account, None if nobody looked.
    """

    kernel_uid: int
    gateway_uid: int
    canary_denied: bool
    seccomp: int
    capabilities: int
    no_new_privs: bool
    routes: int
    landlock_abi: int
    memory_limit: int
    pids_limit: int
    groups: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()
    tools_unsafe: str = ""
    account: Account | None = None
    cpus_limit: int = 0
