"""What every box of an agent holds besides its own directory, put into each request alike for all backends.

Stops: two backends reading policy's mounts differently. A bind that policy lists to be written is written by programs
only where their entry says ``writes``, as the agent's own directories are.
"""

from __future__ import annotations

from dataclasses import replace

from bascule.core.box import PipelineRequest, ProgramRun
from bascule.core.confinement import Mount
from bascule.core.policy import AgentPolicy


def standing_mounts(policy: AgentPolicy, granted: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Return policy's binds and then what a call was granted."""
    return (*policy.layout.binds, *granted)


def bound(request: PipelineRequest, policy: AgentPolicy) -> PipelineRequest:
    """Return a pipeline whose programs also get policy's binds, and of their own directory no more than policy says."""
    return replace(request, runs=tuple(_bound(run, policy) for run in request.runs))


def _bound(run: ProgramRun, policy: AgentPolicy) -> ProgramRun:
    binds = [Mount(bind.path, bind.writable and run.writable, bind.target) for bind in policy.layout.binds]
    own = run.writable and policy.sandbox.workspace_access == "rw"
    return replace(run, writable=own, mounts=(*binds, *run.mounts), bare=is_bare(policy), outfit=policy.sandbox.outfit)


def is_bare(policy: AgentPolicy) -> bool:
    """True if policy mounts nothing of the agent's own directory."""
    return policy.sandbox.workspace_access == "none"
