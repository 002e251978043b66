"""From a request to a stage: which files of this machine a program or worker needs.

Stops: more of the machine in a box than the program, what policy says it needs, and their shared libraries, but for
agents that policy puts on the bare host. Looks
files up by path, as nothing here is an agent's to change; what is found is opened and checked again in ``sources.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bascule.core.errors import Malformed, Unavailable
from bascule.core.paths import BOX_ROOT, is_within
from bascule.core.plan import ProgramKind
from bascule.sandboxes.bubblewrap.argv import ENVIRONMENT
from bascule.sandboxes.resident.closure import Closures, both_names
from bascule.sandboxes.warden.config import WardenConfig
from bascule.sandboxes.warden.host_tree import beneath
from bascule.sandboxes.warden.messages import RunProgram, StartWorker
from bascule.sandboxes.warden.outfits import further_scratches, main_scratch
from bascule.sandboxes.warden.stage import (
    Agent,
    Bind,
    Stage,
    Supplies,
    by_both_names,
    granted_binds,
    program_stage,
    worker_stage,
)
from bascule.sandboxes.way import BUNDLE, BUNDLES, environment

_LARGEST_SCRATCH = 64 << 20
_LOADER_CACHE = "/etc/ld.so.cache"


@dataclass(slots=True)
class Found:
    """Files by real path, and the other names they are asked by."""

    files: dict[str, str] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)

    def add(self, asked: str) -> str:
        """Add one file and return its real path."""
        return self.put(*both_names(asked))

    def put(self, real: str, plain: str) -> str:
        """Add one file whose names are known and return its real path."""
        self.files[real] = real
        if plain != real:
            self.named[plain] = real
        return real

    def add_with_libraries(self, asked: str, closures: Closures) -> str:
        """Add a program or library and all it needs; return its real path."""
        real = self.add(asked)
        for names in closures.files_of(real):
            self.put(*names)
        if closures.needs_cache(real):
            self.files[_LOADER_CACHE] = _LOADER_CACHE
        return real


def program_command(request: RunProgram, root: str) -> tuple[str, ...]:
    """The words that start the program in its box: the file as the box sees it, then its arguments as judged."""
    path = request.program
    if is_within(path, root):
        path = BOX_ROOT + path[len(root) :]
    return (path, *request.argv[1:])


def program_environment(stage: Stage, request: RunProgram) -> Mapping[str, str]:
    """The environment a program starts with. Policy has the last word, which is on certificates alone."""
    way = environment(bundle=any(bind.target == BUNDLE for bind in stage.binds)) if request.proxy else {}
    return {**ENVIRONMENT, **way, **dict(request.outfit.environment)}


def of_program(request: RunProgram, agent: Agent, config: WardenConfig, closures: Closures) -> Stage:
    """Return the content of a program's box.

    Raises:
        Malformed: a source that is not to be given, or an interpreter that is not among ``needs``.
        Unavailable: a file or library is missing; ``tools/`` is asked for and not fit to be mounted.
    """
    territory = config.territory
    for mount in request.mounts:
        territory.check_mount(mount)
    found = Found()
    territory.check_program(request.program, request.agent)
    tools: list[str] = []
    _add_program(request.program, found, agent, tools, closures)
    needed = set()
    for path in request.needs:
        real = os.path.realpath(path)
        territory.check_program(real, request.agent)
        needed.add(real)
        if os.path.isdir(real):
            found.add(path)
        else:
            _add_program(path, found, agent, tools, closures)
    if request.kind is ProgramKind.SCRIPT:
        if os.path.realpath(request.interpreter) not in needed:
            raise Malformed(
                "interpreter_not_needed",
                f"{request.program} is run by {request.interpreter}, which its entry's needs do not name",
            )
        found.add(request.interpreter)
    on_host = request.agent in config.on_host
    bundle = certificates() if request.proxy else ""
    granted = granted_binds(by_both_names(request.mounts, request.argv[1:]), f"{config.home}/shared")
    data = (Bind(bundle, BUNDLE),) if bundle else ()
    stage = program_stage(
        agent,
        Supplies(found.files, found.named, granted, request.writable, data),
        mentions_root=on_host or mentions(agent.root, request.argv[1:]),
        tools=tools,
        scratch_bytes=main_scratch(request.outfit, _LARGEST_SCRATCH, request.limits.memory_bytes),
    )
    stage = replace(stage, scratches=further_scratches(request.outfit, request.limits.memory_bytes))
    return beneath(stage, config, writable=request.writable) if on_host else stage


def certificates() -> str:
    """Return the real path of this machine's certificates, or the empty string if it has none."""
    return next((os.path.realpath(path) for path in BUNDLES if os.path.isfile(path)), "")


def _add_program(path: str, found: Found, agent: Agent, tools: list[str], closures: Closures) -> None:
    """Add one program: to ``tools`` if it is one of the agent's, for those appear at a place of their own."""
    if not is_within(path, agent.root):
        found.add_with_libraries(path, closures)
        return
    if agent.bare:
        raise Malformed("program_refused", f"{path[:200]} lies in a directory of which this box holds nothing")
    if not agent.tools_safe:
        raise Unavailable("tools_unsafe", "tools/ is not mounted, for an agent could change it")
    _add_libraries(found, path, closures)
    tools.append(path)


def _add_libraries(found: Found, program: str, closures: Closures) -> None:
    for library in closures.of(program):
        found.add(library)


def mentions(root: str, words: Iterable[str]) -> bool:
    """True if a word names the agent's directory by the operator's path."""
    return any(root in word for word in words)


def of_worker(request: StartWorker, agent: Agent, config: WardenConfig, closures: Closures) -> Stage:
    """Return the content of a file worker's box.

    Raises:
        Malformed: a mount that is not to be given.
        Unavailable: Python or one of its libraries is missing.
    """
    for mount in request.mounts:
        config.territory.check_mount(mount)
    found = Found()
    found.files[config.library] = config.library
    for path in (config.python, *config.extensions):
        if is_within(path, config.library):
            _add_libraries(found, path, closures)
        else:
            found.add_with_libraries(path, closures)
    return worker_stage(
        agent,
        Supplies(found.files, found.named, granted_binds(request.mounts, f"{config.home}/shared"), request.writable),
        code=config.worker_code,
        canary="" if config.single else config.canary,
    )
