"""Speaking to a Docker engine: a few requests over its unix socket, each with a time limit and a size limit.

Stops: an engine that is absent, stopped, hanging, talkative or of an unknown version holding anybody up: every one of
these is :class:`Unavailable` within seconds, with the reason. Does not stop an engine that lies; it is root.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from bascule.core.canonical import Json
from bascule.core.errors import Unavailable
from bascule.sandboxes.docker.wire import exchange

OLDEST, NEWEST = (1, 41), (1, 51)
"""Versions of the engine's language this was written for; within them the engine's own is used."""

_FIRST_SECONDS = 4.0
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}", re.ASCII)
_GONE = frozenset({304, 404, 409})
"""Already stopped, already gone, being removed."""


class Engine:
    """One engine; every request has a connection of its own."""

    def __init__(self, path: str, seconds: float = 10.0, wait_seconds: float | None = None) -> None:
        """Use the socket at ``path``; ``seconds`` bounds every request, ``wait_seconds`` each silence in one."""
        self._path = path
        self._seconds = seconds
        self._wait_seconds = seconds if wait_seconds is None else wait_seconds
        self._prefix = ""
        self._newest = ""

    def version(self) -> str:
        """Return the version of the language that is spoken, asking the engine once.

        Raises:
            Unavailable: no engine, or one too old or too new.
        """
        if not self._prefix:
            most = _parsed(self._first())
            spoken = min(most, NEWEST)
            if spoken < OLDEST:
                raise Unavailable(
                    "docker_version", f"Docker speaks API {most[0]}.{most[1]}, not {OLDEST[0]}.{OLDEST[1]} or newer"
                )
            self._prefix = f"/v{spoken[0]}.{spoken[1]}"
        return self._prefix[2:]

    def image(self, name: str) -> Mapping[str, Any] | None:
        """Return what is known of an image, None if there is none of that name or id."""
        return self._found(f"/images/{quote(name, safe='')}/json")

    def inspect(self, container: str) -> Mapping[str, Any] | None:
        """Return what is known of a container, None if there is none."""
        return self._found(f"/containers/{quote(container, safe='')}/json")

    def create(self, name: str, body: Mapping[str, Json]) -> tuple[str, tuple[str, ...]]:
        """Make a container and return its id and what the engine warned of."""
        made = _mapping(self._ask("POST", f"/containers/create?{urlencode({'name': name})}", body))
        warnings = made.get("Warnings")
        if not _is_id(made.get("Id")):
            raise _senseless()
        return str(made["Id"]), tuple(str(line) for line in warnings) if isinstance(warnings, list) else ()

    def start(self, container: str) -> None:
        """Start a container."""
        self._ask("POST", f"/containers/{quote(container, safe='')}/start")

    def remove(self, container: str) -> None:
        """Kill and remove a container; that it is gone already is well."""
        self._ask("DELETE", f"/containers/{quote(container, safe='')}?force=true&v=true", accept=_GONE)

    def containers(self, labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Return every container, running or not, that has these labels."""
        filters = json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]})
        found = self._ask("GET", f"/containers/json?{urlencode({'all': 'true', 'filters': filters})}")
        if not isinstance(found, list) or not all(isinstance(row, Mapping) and _is_id(row.get("Id")) for row in found):
            raise _senseless()
        return found

    def network(self, name: str) -> Mapping[str, Any] | None:
        """Return what is known of a network, None if there is none."""
        return self._found(f"/networks/{quote(name, safe='')}")

    def join(self, network: str, container: str) -> None:
        """Connect a container to a network."""
        self._ask("POST", f"/networks/{quote(network, safe='')}/connect", {"Container": container})

    def leave(self, network: str, container: str) -> None:
        """Disconnect a container from a network it is in."""
        self._ask("POST", f"/networks/{quote(network, safe='')}/disconnect", {"Container": container, "Force": False})

    def wait(self, container: str) -> int:
        """Wait until a container has ended and return its exit status."""
        status = _mapping(self._ask("POST", f"/containers/{quote(container, safe='')}/wait")).get("StatusCode")
        if not isinstance(status, int):
            raise _senseless()
        return status

    def load(self, archive: BinaryIO, name: str, remark: str = "") -> str:
        """Make an image of the root tree in a tar archive and return its id; ``remark`` is kept with it."""
        repository, tag = split_name(name)
        query = urlencode({"fromSrc": "-", "repo": repository, "tag": tag, "message": remark})
        status, content = self._exchange("POST", f"{self._base()}/images/create?{query}", archive, lines=True)
        return self._named(status, content, name)

    def pull(self, name: str) -> str:
        """Fetch an image from its registry and return its id."""
        # Without a tag an engine fetches all there are.
        repository, tag = split_name(name)
        query = urlencode({"fromImage": repository, "tag": tag})
        status, content = self._exchange("POST", f"{self._base()}/images/create?{query}", None, lines=True)
        return self._named(status, content, name)

    def _named(self, status: int, content: bytes, name: str) -> str:
        errors = [line for line in content.splitlines() if b'"error"' in line]
        if status != 200 or errors:
            raise _refused(status, errors[-1] if errors else content)
        found = self.image(name)
        if found is None:
            raise Unavailable("image_missing", f"Docker took {name[:100]} and does not have it")
        if not _is_id(found.get("Id")):
            raise _senseless()
        return str(found["Id"])

    def _found(self, path: str) -> Mapping[str, Any] | None:
        status, content = self._exchange("GET", self._base() + path, None)
        if status == 404:
            return None
        if status != 200:
            raise _refused(status, content)
        return _mapping(_read(content))

    def _ask(
        self, method: str, path: str, body: Mapping[str, Json] | None = None, accept: frozenset[int] = frozenset()
    ) -> Any:
        status, content = self._exchange(method, self._base() + path, body)
        if 200 <= status < 300 or status in accept:
            return _read(content) if content and 200 <= status < 300 else {}
        raise _refused(status, content)

    def _first(self) -> str:
        """Ask what costs an engine nothing, so that one that hangs is noticed at once; return its newest version.

        Not ``/version``, for which an engine starts programs to ask them theirs.
        """
        patient, self._seconds = self._seconds, min(self._seconds, _FIRST_SECONDS)
        try:
            status, content = self._exchange("GET", "/_ping", None)
        finally:
            self._seconds = patient
        if status != 200:
            raise _refused(status, content)
        return self._newest

    def _base(self) -> str:
        self.version()
        return self._prefix

    def _exchange(
        self, method: str, path: str, body: Mapping[str, Json] | BinaryIO | None, *, lines: bool = False
    ) -> tuple[int, bytes]:
        content = json.dumps(body).encode() if isinstance(body, Mapping) else body
        target = (self._path, self._seconds, min(self._seconds, self._wait_seconds))
        try:
            status, headers, read = exchange(target, method, path, content, lines=lines)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(self._path, error) from None
        except ValueError:
            raise Unavailable("docker_answer", "Docker's answer is too long") from None
        self._newest = headers.get("api-version", "")
        return status, read


def split_name(name: str) -> tuple[str, str]:
    """Return an image's repository and its tag or digest; ``latest`` where neither is named."""
    repository, at, digest = name.partition("@")
    if at:
        return repository, digest
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return head + slash + last, tag or "latest"


def _unreachable(path: str, error: Exception) -> Unavailable:
    if isinstance(error, TimeoutError):
        return Unavailable("docker_silent", f"Docker does not answer at {path}", "see: systemctl status docker")
    why = getattr(error, "strerror", "") or type(error).__name__
    return Unavailable(
        "docker_unreachable",
        f"no Docker engine at {path}: {why}",
        "start it: systemctl start docker; one at another socket: see DOCKER_HOST",
    )


def _refused(status: int, content: bytes) -> Unavailable:
    try:
        said = json.loads(content)
        message = str(said.get("message") or said.get("error") or "")
    except (ValueError, AttributeError):
        message = ""
    line = (message.strip().splitlines() or ["no reason given"])[0][:300]
    if status == 400 and "API version" in line:  # how an engine turns away what is too old for it
        return Unavailable("docker_version", f"Docker is too new: {line}")
    return Unavailable("docker_refused", f"Docker refused ({status}): {line}")


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise _senseless() from None


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _senseless()
    return value


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _senseless() -> Unavailable:
    return Unavailable("docker_answer", "Docker's answer makes no sense")


def _parsed(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise Unavailable("docker_version", "Docker does not say which version it speaks")
    return int(major), int(minor)
