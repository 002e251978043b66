"""What tests of containers share: the backend by its type, a change of policy, Python in a container."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tests.sandboxes.boxed import ONE, Boxed

from bascule.sandboxes.docker.backend import DockerBoxes

PYTHON = "/usr/bin/python3"
LIBRARY = "/usr/lib/python3.11"


def docker(boxed: Boxed) -> DockerBoxes:
    assert isinstance(boxed.boxes, DockerBoxes)
    return boxed.boxes


def configure(boxed: Boxed, **changes: object) -> None:
    """Change the sandbox rules of the first agent, as a reload of policy would."""
    agents = docker(boxed)._on.agents
    assert isinstance(agents, dict)
    rules = agents[ONE]
    own = {"per_session", "idle_seconds", "image", "dns"}
    inner = {key: changes.pop(key) for key in list(changes) if key in own}
    box = replace(rules.sandbox, **changes)
    agents[ONE] = replace(rules, sandbox=replace(box, docker=replace(box.docker, **inner)))


def python(boxed: Boxed, code: str, *words: str, **options: object) -> object:
    return boxed.run(PYTHON, "-I", "-S", "-c", code, *words, needs=(LIBRARY, *FFI), **options)


FFI = tuple(str(path) for path in Path("/usr/lib").glob("*-linux-gnu/libffi.so.8")) or (
    f"/usr/lib/{os.uname().machine}-linux-gnu/libffi.so.8",
)
