"""The gateway's end of a container's line: orders to its resident, and what it answers.

Stops: a resident that answers garbage, late or never, or that ends, holding anybody up: the line is then closed, which
ends the container, and everything that was waited for fails at once. Only the codes it may give are taken from it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bascule.core.errors import Unavailable
from bascule.core.paths import BOX_ROOT, OWN_DIRECTORIES
from bascule.sandboxes.bubblewrap.argv import ENVIRONMENT
from bascule.sandboxes.seccomp import box_filter
from bascule.sandboxes.warden.client import Exit, RunningBox, WardenClient
from bascule.sandboxes.warden.contents import program_command
from bascule.sandboxes.warden.messages import LARGEST_MESSAGE, RunProgram
from bascule.sandboxes.warden.outfits import further_scratches
from bascule.sandboxes.warden.stage import container_binds
from bascule.sandboxes.warden.values import limits_json
from bascule.sandboxes.way import BUNDLES, PORT, environment

CODES = frozenset(
    {
        "program_changed", "interpreter_not_needed", "program_missing", "program_elf", "program_libraries",
        "program_library_missing", "landlock_old", "box_failed", "box_setup", "container_order", "container_error",
    }
)  # fmt: skip
"""Refusals a resident may give."""

_EXIT_SECONDS = 5.0
"""How long a program that was killed may take to be gone: it can be slow in the kernel, on a slow disk."""

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ContainerLine(WardenClient):
    """Speaks to one container's resident; implements ``Hands`` of a pipeline."""

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Use :meth:`open`."""
        super().__init__(connection, loop)
        self._shared, self._agent_root = "", ""
        self._is_ended = False
        self._asked_to_run: set[int] = set()
        machine = os.uname().machine
        self._filter = box_filter(machine, shared=True).hex()
        self._way_filter = box_filter(machine, shared=True, connects=True).hex()
        self._bridge_filter = box_filter(machine, shared=True, connects=True, datagrams=True).hex()
        self._on_end: Callable[[], None] = _nothing

    @staticmethod
    def open(connection: socket.socket, shared: str, agent_root: str) -> ContainerLine:
        """Take a connection over, in a running loop; ``shared`` is the home's, ``agent_root`` the agent's directory."""
        connection.settimeout(0)
        line = ContainerLine(connection, asyncio.get_running_loop())
        line._shared, line._agent_root = shared, agent_root
        line.listen()
        return line

    async def run(self, request: RunProgram, streams: Sequence[int]) -> RunningBox:
        """Run a program in the container.

        Raises:
            Unavailable: refused, or the container is gone.
        """
        body = await self.exchange(lambda number: self._order(number, request), streams)
        return RunningBox(int(body["box"]), 0, 0, body["exit"])

    async def exchange(self, compose: Callable[[int], bytes], files: Sequence[int]) -> dict[str, Any]:
        """Send one order and return its answer; whoever once gave none in time is not waited for again.

        Raises:
            Unavailable: refused, or the container is gone or does not answer, and then its line is closed.
        """
        try:
            return await super().exchange(compose, files)
        except Unavailable as error:
            if error.code == self.silent().code:
                self.close()
            raise

    def _order(self, number: int, request: RunProgram) -> bytes:
        self._asked_to_run.add(number)
        command = program_command(request, self._agent_root)
        own = OWN_DIRECTORIES if request.writable else ()
        places = (BOX_ROOT,) if request.bare else (BOX_ROOT, self._agent_root)
        granted = container_binds(request.mounts, self._shared)
        order = {
            "id": number,
            "op": "run",
            "argv": list(command),
            "program": command[0],
            "sha256": request.sha256,
            "kind": request.kind.value,
            "interpreter": request.interpreter,
            "needs": list(request.needs),
            "readable": [*places, *(bind.target for bind in granted)],
            "writable": [
                *(f"{place}/{name}" for place in places for name in own),
                *(bind.target for bind in granted if bind.writable),
                *further_scratches(request.outfit, request.limits.memory_bytes),
            ],
            "limits": limits_json(request.limits),
            "environment": {
                **ENVIRONMENT,
                **dict(request.outfit.environment),
                "PWD": BOX_ROOT,
                **(environment(bundle=False) if request.proxy else {}),
            },
            "bundles": list(BUNDLES) if request.proxy or request.bridge else [],
            "port": PORT if request.proxy else 0,
            "bridge": request.bridge,
            "filter": self._filter_of(request),
        }
        message = json.dumps(order).encode()
        if len(message) > LARGEST_MESSAGE:
            raise Unavailable("container_order", "the command line is too long for a container")
        return message

    def _filter_of(self, request: RunProgram) -> str:
        if request.bridge:
            return self._bridge_filter
        return self._way_filter if request.proxy else self._filter

    async def kill(self, box: int) -> None:
        """Kill one program; its exit follows. Where none does, the container is given up, and what waits is told."""
        self._loop.call_later(_EXIT_SECONDS, self._give_up, box)
        await self._plain("kill", box=box)

    def _give_up(self, box: int) -> None:
        if self.runs(box):
            self.close()

    async def worker(self, stream: int) -> None:
        """Start the file worker on a socket, in place of the one there may be."""
        await self.exchange(lambda number: _written(number, "worker", {}), [stream])

    async def look(self, paths: Sequence[str]) -> tuple[str, str, bytes]:
        """Return real path, SHA-256 and first bytes of the first executable file of these; empty for none."""
        body = await self._plain("look", paths=list(paths))
        path, digest, head = body.get("path"), body.get("sha256"), body.get("head")
        if not isinstance(path, str) or not isinstance(digest, str) or not isinstance(head, str):
            raise _garbled()
        if path and (not path.startswith("/") or not _DIGEST.fullmatch(digest) or len(head) > 1024):
            raise _garbled()
        try:
            return path, digest, bytes.fromhex(head)
        except ValueError:
            raise _garbled() from None

    async def clear(self, scratches: Sequence[str]) -> tuple[bool, bool]:
        """End a call; return whether nothing of it is left, and whether the file worker is still there.

        Args:
            scratches: places to empty besides those that every container has.
        """
        body = await self._plain("clear", scratches=list(scratches))
        return body.get("clean") is True, body.get("worker") is True

    async def _plain(self, operation: str, **fields: Any) -> dict[str, Any]:
        return await self.exchange(lambda number: _written(number, operation, fields), [])

    def at_end(self, action: Callable[[], None]) -> None:
        """Have something done once, when the container is let go or lost, however that comes; at once if it was."""
        self._on_end = action
        if not self.alive:
            action()

    def _lost(self) -> None:
        super()._lost()
        self._on_end()

    def end(self) -> None:
        """End the container, and what runs in it, because the gateway wants it so."""
        self.hear()  # what came before the end still counts
        self._is_ended = True
        self.close()

    def cut_short(self) -> Exit:
        """How a program ended whose container is gone: killed, if that was meant."""
        return Exit(128 + 9) if self._is_ended else super().cut_short()

    def take(self, untrusted_message: bytes) -> None:
        """Understand one message, or close the line for good."""
        try:
            body = json.loads(untrusted_message)
            del untrusted_message
            known = self._exit_of(body) if body.get("event") == "exit" else self._answer_of(body)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.close()
            return
        super().understand(known)

    def _answer_of(self, body: Mapping[str, Any]) -> dict[str, Any]:
        number = _number(body["id"])
        if not self.awaits(number):
            raise ValueError("an answer to nothing")
        was_run = number in self._asked_to_run
        self._asked_to_run.discard(number)
        if body["ok"] is not True:
            code = body["code"]
            message = str(body["message"])[:300]
            return {"id": number, "ok": False, "code": code if code in CODES else "container_error", "message": message}
        known: dict[str, Any] = {"id": number, "ok": True}
        if "box" in body and not was_run:
            raise ValueError("a program nobody asked for")
        if was_run:
            known["box"] = _number(body["box"])
            if self.runs(known["box"]):
                raise ValueError("a program by another's number, whose exit nobody would hear of")
        return known | {name: body[name] for name in ("path", "sha256", "head", "clean", "worker") if name in body}

    def _exit_of(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if not self.runs(_number(body["box"])):
            raise ValueError("an end of nothing")
        problem = body["problem"]
        return {
            "event": "exit",
            "box": body["box"],
            "exit": _number(body["exit"]) & 0xFF,
            "problem": problem if problem in CODES else ("box_failed" if problem else ""),
            "timed_out": body["timed_out"] is True,
        }

    @staticmethod
    def gone() -> Unavailable:
        """The container has ended."""
        return Unavailable("container_gone", "the container ended; the next call makes a new one")

    @staticmethod
    def silent() -> Unavailable:
        """The resident does not answer."""
        return Unavailable("container_silent", "the container does not answer", "bascule sandbox recreate")


def _nothing() -> None:
    """What is done at the end of a container without a way out."""


def _written(number: int, operation: str, fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"id": number, "op": operation, **fields}).encode()


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise ValueError("not a number")
    return value


def _garbled() -> Unavailable:
    return Unavailable("container_error", "the container gave an answer that makes no sense")
