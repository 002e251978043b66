"""What box an agent gets, fact by fact, each with the key that says so and the place in the file where it stands.

Stops: an operator changing a line that counts for nothing, because another scope has the last word. Read from the
compiled policy for what is so, and from the file for who says it; nothing is started for it. Does not say what a
machine lacks: a probe does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bascule.core.paths import BOX_ROOT, OWN_DIRECTORIES
from bascule.core.policy import AgentPolicy, Backend
from bascule.policy.boxrules import names_directory
from bascule.policy.egressrules import EVERY_PUBLIC_HOST
from bascule.policy.explain import explain_network
from bascule.policy.json5 import Document, Path, Value, dotted
from bascule.policy.schema.sandbox import bytes_of

DEFAULTS = "agents.defaults.sandbox"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is so.

    Attributes:
        subject: what it is about, a word or two.
        value: what is so.
        key: the key that says it, or the one that would; empty if no key changes it.
        where: ``file:line:column`` of it; empty if the file does not say it and it is built in.
    """

    subject: str
    value: str
    key: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class BoxMount:
    """One place of a box: the operator's path (empty if the box's own), the box's, and what may be done there.

    That is ``ro``, ``rw``, ``run``, or ``host``: this machine's own tree beneath all others, of programs alone.
    """

    source: str
    target: str
    access: str


class Keys:
    """Where the keys of one file stand."""

    def __init__(self, document: Document) -> None:
        """Index a document that was read."""
        self._document = document
        self._paths: dict[str, Path] = {dotted(path): path for path in document.spans}

    def where(self, key: str) -> str:
        """Return ``file:line:column`` of a key, empty if the file does not have it."""
        path = self._paths.get(key)
        return "" if path is None else self._document.where(path, key=True)

    def value(self, key: str) -> Value:
        """Return what the file says at a key that it has, else None."""
        found: Value = self._document.value
        for part in self._paths.get(key, ("",)):
            if isinstance(found, dict):
                found = found.get(str(part))
            elif isinstance(found, tuple) and isinstance(part, int):
                found = found[part]
        return found if key in self._paths else None

    def first(self, keys: Iterable[str]) -> tuple[str, str]:
        """Return the first of some keys that the file has, with its place; the first of all, without, if it has none.

        An empty ``keys`` is a mistake of the caller's.
        """
        named = tuple(keys)
        found = next((key for key in named if key in self._paths and self.value(key) is not None), None)
        return (named[0], "") if found is None else (found, self.where(found))


def explain_box(agent: AgentPolicy, document: Document, image_id: str) -> tuple[Fact, ...]:
    """Return what box an agent gets.

    Args:
        agent: its compiled policy.
        document: the file it was compiled from.
        image_id: what the home's record says of its image; empty if nothing, or if it needs none.
    """
    keys, own, box = Keys(document), f"{agent.where}.sandbox", agent.sandbox

    def fact(subject: str, value: str, *names: str) -> Fact:
        """Whoever stands first in ``names`` has the first word; the agent's own section goes before the shared one."""
        return Fact(subject, value, *keys.first([f"{place}.{name}" for name in names for place in (own, DEFAULTS)]))

    docker = box.backend is Backend.DOCKER
    backend = _BARE_HOST if box.backend is Backend.UNSAFE_NONE else box.backend.value
    found = [fact("backend", backend, "backend"), _mode(keys, own)]
    if docker:
        scope = "one container for every session" if box.docker.per_session else "one container for the agent"
        found.append(fact("scope", scope, "scope", "perSession"))
    found += [
        _directory(agent, keys, own),
        fact("workspace", _workspace(box.workspace_access), "workspaceAccess"),
        *_network(agent, keys, own),
        *_limits(agent, keys, own),
        fact("processors", f"{box.limits.cpus / 1000:g}{'' if docker else ' for each program'}", "docker.cpus"),
    ]
    if docker:
        known = image_id if image_id else "not recorded: run bascule sandbox build"
        found.append(fact("image", f"{box.docker.image} ({known})", "docker.image"))
    found.append(fact("system calls", _filter(agent), "docker.seccompProfile"))
    found += [
        fact("ends unused", _hours(box.docker.idle_seconds), "prune.idleHours"),
        fact("ends at age", _hours(box.docker.age_seconds), "prune.maxAgeDays"),
        fact("kept ready", "yes" if box.warm else "no: made when it is first used", "warm"),
    ]
    return tuple(found)


def _filter(agent: AgentPolicy) -> str:
    docker = agent.sandbox.docker
    if agent.sandbox.backend is not Backend.DOCKER:
        return f"our filter; {docker.seccomp} holds for containers only" if docker.seccomp else "our filter"
    if not docker.seccomp:
        return "Docker's default filter, and ours"
    return f"{docker.seccomp} (sha256 {docker.seccomp_digest[:12]}), less what Docker's default refuses, and our filter"


_BARE_HOST = (
    f"{Backend.UNSAFE_NONE.value}: NO SANDBOX FOR PROGRAMS, which see this machine's files and can start every "
    "program; file tools keep their box"
)


def _directory(agent: AgentPolicy, keys: Keys, own: str) -> Fact:
    key, where = keys.first((f"{own}.workspaceRoot", f"{DEFAULTS}.workspaceRoot"))
    root, said = agent.layout.agent_root, keys.value(key)
    if isinstance(said, str) and not names_directory(said, root):
        root = f"{root} (the file says {said}, which is not heeded: nothing is moved)"
    return Fact("directory", root, key, where)


def _workspace(access: str) -> str:
    return "none: nothing of its directory" if access == "none" else f"{access} for {', '.join(OWN_DIRECTORIES)}"


def box_mounts(agent: AgentPolicy) -> tuple[BoxMount, ...]:
    """Return what an agent's box sees of the machine, and the places that are its own."""
    root = agent.layout.agent_root
    own = "rw" if agent.sandbox.workspace_access == "rw" else "ro"
    found: list[BoxMount] = []
    if agent.sandbox.backend is Backend.UNSAFE_NONE:
        found.append(BoxMount("/", "/", "host"))
    if agent.sandbox.workspace_access != "none":
        found.append(BoxMount(root, BOX_ROOT, "ro"))
        found += [BoxMount(f"{root}/{name}", f"{BOX_ROOT}/{name}", own) for name in OWN_DIRECTORIES]
        found.append(BoxMount(f"{root}/tools", f"{BOX_ROOT}/tools", "run"))
    else:
        found.append(BoxMount("", BOX_ROOT, "ro"))
    found += [BoxMount(bind.path, bind.target, "rw" if bind.writable else "ro") for bind in agent.layout.binds]
    found.append(BoxMount("", "/tmp", "rw"))  # noqa: S108 -- the name inside a box
    return tuple(found)


def _mode(keys: Keys, own: str) -> Fact:
    key, where = keys.first((f"{own}.mode", f"{DEFAULTS}.mode"))
    said = keys.value(key)
    if said in (None, "off"):
        return Fact("mode", "off: the sandbox ceiling of tools does not hold; the boxes stay", key, where)
    carried = ", carried as all: for the main session too" if said == "non-main" else ":"
    return Fact("mode", f"{said}{carried} the sandbox ceiling of tools holds (tools.sandbox.tools)", key, where)


def _network(agent: AgentPolicy, keys: Keys, own: str) -> tuple[Fact, ...]:
    key, where = keys.first(
        (f"{own}.network", f"{own}.docker.network", f"{DEFAULTS}.network", f"{DEFAULTS}.docker.network")
    )
    said = keys.value(key)
    value = agent.sandbox.network
    if isinstance(said, str) and said.strip().lower() != value:
        value = f"{value} (the file says {said}, which is carried as {value}: no route but through the proxy)"
    rules = agent.egress.where
    lines = explain_network(agent)[1:]
    return (Fact("network", value, key, where), *(_rule(line, rules, keys) for line in lines))


def _rule(line: str, section: str, keys: Keys) -> Fact:
    said, _, by = line.partition(", by ")
    subject, _, value = said.partition(": ")
    if value == EVERY_PUBLIC_HOST.written:
        value = "every public host, at the ports of the web, as a bridge would"
    key = by if by else section
    return Fact(subject, value, key, keys.where(key))


def _limits(agent: AgentPolicy, keys: Keys, own: str) -> tuple[Fact, ...]:
    """The least of all that is said counts; so the key that says as much as what counts is the one."""
    value = agent.sandbox.limits
    section = f"{own}.limits" if keys.where(f"{own}.limits") else f"{DEFAULTS}.limits"
    waits = [
        f"{place}.exec.{name}"
        for place in (f"{agent.where}.tools", "tools")
        for name in ("timeoutSec", "timeoutSeconds")
    ]
    docker = (f"{own}.docker", f"{DEFAULTS}.docker")
    table = (
        ("memory", value.memory_bytes, _size, [f"{section}.memory", *(f"{place}.memory" for place in docker)]),
        ("processes", value.pids, str, [f"{section}.pids", *(f"{place}.pidsLimit" for place in docker)]),
        ("CPU time", value.cpu_seconds, _seconds, [f"{section}.cpuSeconds"]),
        ("time", value.wall_seconds, _seconds, [f"{section}.wallSeconds", *waits]),
        ("output", value.output_bytes, _size, [f"{section}.outputBytes"]),
        ("file size", value.file_bytes, _size, [f"{section}.fileBytes"]),
    )
    return tuple(
        Fact(subject, shown(number), *_least(keys, number, names, f"{own}.limits"))
        for subject, number, shown, names in table
    )


def _least(keys: Keys, number: int, names: list[str], own: str) -> tuple[str, str]:
    for name in names:
        if _number(keys.value(name)) == number:
            return name, keys.where(name)
    return f"{own}.{names[0].rpartition('.')[2]}", ""


def _number(said: Value) -> int:
    if isinstance(said, bool) or not isinstance(said, int | str):
        return -1
    try:
        return bytes_of(said)
    except ValueError:
        return -1


def _size(number: int) -> str:
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if number >= 1 << shift and number % (1 << shift) == 0:
            return f"{number >> shift} {unit}"
    return f"{number} bytes"


def _seconds(number: int) -> str:
    return f"{number} s"


def _hours(seconds: int) -> str:
    if seconds == 0:
        return "never"
    return (
        f"after {seconds // 86_400} days"
        if seconds % 86_400 == 0 and seconds > 86_400
        else f"after {seconds // 3600} h"
    )
