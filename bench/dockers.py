"""What a container's rows are compared with: Docker's own program, and its API asked directly."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import time
from collections.abc import Callable
from typing import Any

from bascule.sandboxes.docker.engine import Engine
from bench.measure import CannotRun, Effort, Rival
from bench.others import best, once, runs, warm

_API = "/v1.41"
_SLEEP = ("/usr/bin/sleep", "600")
_PLAIN = {"NetworkMode": "none"}


class _Line(http.client.HTTPConnection):
    """HTTP over the engine's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def _ask(path: str, method: str, what: str, body: object = None) -> Any:
    line = _Line(path)
    content = None if body is None else json.dumps(body)
    line.request(method, _API + what, content, {"Host": "docker", "Content-Type": "application/json"})
    answer = line.getresponse()
    said = answer.read()
    line.close()
    if answer.status >= 300:
        raise CannotRun(f"Docker refused {what[:60]}: {said[:200]!r}")
    return json.loads(said) if said.startswith((b"{", b"[")) else None


def starting(path: str, image: str, effort: Effort) -> tuple[Rival, ...]:
    """Time a container's start by Docker's program and by its API, with nothing of ours in it."""
    n = effort.n(20)
    found = [Rival("Docker API: create and start a plain container", best(lambda: _started(path, image), n, rounds=1))]
    docker = shutil.which("docker")
    words = (docker or "", "run", "--rm", "--network", "none", "--entrypoint", "true", image)
    if docker and runs(words):
        found.append(Rival("docker run --rm of `true`", best(lambda: once(words), n, rounds=1)))
    return tuple(found)


def _started(path: str, image: str) -> float:
    body = {"Image": image, "Cmd": _SLEEP, "NetworkDisabled": True, "HostConfig": _PLAIN}
    began = time.perf_counter_ns()
    made = _ask(path, "POST", "/containers/create", body)["Id"]
    _ask(path, "POST", f"/containers/{made}/start")
    took = time.perf_counter_ns() - began
    Engine(path).remove(made)
    return float(took)


def executing(path: str, image: str, effort: Effort) -> tuple[Rival, ...]:
    """Time ``true`` in a warm container, by Docker's program and by its API."""
    docker = shutil.which("docker")
    if docker is None or not runs((docker, "version")):
        return ()
    n = effort.n(20)
    with warm(docker, image) as name:
        words = (docker, "exec", name, "true")
        found = [Rival("Docker API: exec in a warm container", best(_exec(path, name), n, rounds=3))]
        if runs(words):
            found.append(Rival("docker exec in a warm container", best(lambda: once(words), n, rounds=3)))
    return tuple(found)


def _exec(path: str, name: str) -> Callable[[], float]:
    def timed() -> float:
        began = time.perf_counter_ns()
        body = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
        made = _ask(path, "POST", f"/containers/{name}/exec", body)["Id"]
        _ask(path, "POST", f"/exec/{made}/start", {"Detach": False, "Tty": False})
        return float(time.perf_counter_ns() - began)

    return timed


def killing(path: str, image: str, effort: Effort) -> tuple[Rival, ...]:
    """Time the kill of a container by the API, until Docker says that it no longer runs."""

    def timed() -> float:
        body = {"Image": image, "Cmd": _SLEEP, "NetworkDisabled": True, "HostConfig": _PLAIN}
        made = _ask(path, "POST", "/containers/create", body)["Id"]
        _ask(path, "POST", f"/containers/{made}/start")
        began = time.perf_counter_ns()
        _ask(path, "POST", f"/containers/{made}/kill")
        _ask(path, "POST", f"/containers/{made}/wait")
        took = time.perf_counter_ns() - began
        Engine(path).remove(made)
        return float(took)

    return (Rival("Docker API: kill a plain container", best(timed, effort.n(10), rounds=1)),)
