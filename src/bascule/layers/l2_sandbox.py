"""Layer 2, sandbox: an agent's hands see its own directory and nothing else.

Stops: file tools naming paths outside what the box holds, and any call at all when the box failed its self-test. Does
not stop: what a file inside the agent's own directory says; its content is data, and labelled so. Nor, where policy
names the bare host, what a program reads there: this layer then holds file tools and operands, and says so.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.confinement import Confinement, Mount
from bascule.core.facts import Enforcement, Facts
from bascule.core.finding import Finding, Severity
from bascule.core.paths import BOX_ROOT, OWN_DIRECTORIES, Access, Zone
from bascule.core.policy import AgentPolicy, Backend
from bascule.core.posture import Posture
from bascule.core.scope import strictest_use
from bascule.core.verdict import Effect, Verdict, allow, deny

NAME = "l2_sandbox"
ENFORCEMENT = Enforcement.SANDBOX

MINIMUM_LANDLOCK = 1
"""Landlock ABI a file worker must have; every kernel since 5.13 gives it where it is switched on."""

UNSAFE_NONE = "sandbox.unsafe_none"
"""Name of the finding that an agent's programs run on the bare host because its policy says so."""

_OK = allow(NAME)
_OWN = frozenset(f"{BOX_ROOT}/{name}" for name in OWN_DIRECTORIES)
_NOTHING: frozenset[str] = frozenset()


def judge(call: Call, facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: the box is in force, and every path a file tool names is one it may reach."""
    missing = facts.missing.get(ENFORCEMENT)
    if missing is not None:
        remedy = f"run: bascule sandbox probe {policy.id}"
        return deny(NAME, "not_in_force", f"{ENFORCEMENT} is not in force: {missing}", remedy)
    if call.plan is not None or not call.paths:
        return _OK
    effect, code, reason, remedy = strictest_use(call.paths, policy.sandbox.workspace_access)
    if effect is Effect.ALLOW:
        return _OK
    return Verdict(effect, NAME, code, reason, remedy)


def confine(call: Call, policy: AgentPolicy) -> Confinement:
    """How tightly: own directories and binds if the call writes, outside paths one by one, and policy's limits."""
    writes = call.plan is not None or any(use.access is Access.WRITE for use in call.paths)
    own = _OWN if policy.sandbox.workspace_access == "rw" else _NOTHING
    binds = [bind.target for bind in policy.layout.binds if bind.writable]
    outside = {
        use.place.host: use.access is Access.WRITE
        for use in sorted(call.paths, key=lambda use: use.access)
        if use.place.zone is Zone.OUTSIDE
    }
    return Confinement(
        writable=own.union(binds) if writes else _NOTHING,
        mounts=frozenset(Mount(path, writable) for path, writable in outside.items()),
        limits=policy.sandbox.limits,
    )


def check(posture: Posture, policy: AgentPolicy) -> tuple[Finding, ...]:
    """Is it so here: seccomp filtering, Landlock, no new privileges.

    Limits the machine cannot give are warnings, and so is the bare host, which only policy can name.
    """
    found = [Finding("sandbox.self_test", Severity.CRITICAL, problem) for problem in posture.problems]
    if policy.sandbox.backend is Backend.UNSAFE_NONE:
        detail = "NO SANDBOX FOR PROGRAMS: they run on the bare host, by sandbox.backend unsafe_none"
        found.append(Finding(UNSAFE_NONE, Severity.WARN, detail, "set sandbox.backend to bubblewrap"))
    if posture.seccomp != 2:
        found.append(Finding("sandbox.seccomp", Severity.CRITICAL, "no system-call filter is in force in the box"))
    if posture.landlock_abi < MINIMUM_LANDLOCK:
        found.append(
            Finding(
                "sandbox.landlock",
                Severity.CRITICAL,
                "Landlock is not in force in the file worker",
                "boot with landlock in the kernel's lsm= list",
            )
        )
    if not posture.no_new_privs:
        found.append(Finding("sandbox.no_new_privs", Severity.CRITICAL, "the box may gain privileges by exec"))
    if not posture.memory_limit:
        found.append(Finding("sandbox.memory", Severity.WARN, "no cgroup limits the box's memory; rlimits do alone"))
    if not posture.pids_limit:
        found.append(Finding("sandbox.pids", Severity.WARN, "no cgroup limits the box's processes; rlimits do alone"))
    if not posture.cpus_limit:
        found.append(Finding("sandbox.cpus", Severity.WARN, "no cgroup limits the box's processors; CPU time alone is"))
    return tuple(found)
