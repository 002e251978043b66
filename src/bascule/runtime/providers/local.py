"""The small local model as a provider: a child process that is asked over a pipe and started again when it dies.

Stops: a first conversation needing a key or a service. Does not stop: nonsense; the banner says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bascule.core.errors import BasculeError
from bascule.runtime.local_model import child, fetch, pins, shape
from bascule.runtime.providers.port import Ask, Fault, OnNote, OnText, Reply
from bascule.runtime.results import one_line

START_SECONDS = 120.0
"""How long loading may take on a slow disk; it takes less than a second on most."""

ANSWER_SECONDS = 180.0
"""How long one answer may take on a slow processor."""

MAX_LINE = 1 << 20


class LocalProvider:
    """One child process, one answer at a time."""

    name = "local:smollm2"
    banner = (
        "local:smollm2 is a tiny model for a first look: it cannot plan and it invents things; "
        "`make demo` shows the walls without a model, ANTHROPIC_API_KEY or OPENAI_API_KEY brings a capable one"
    )

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._directory = ""

    async def ask(self, ask: Ask, on_text: OnText, on_note: OnNote) -> Reply | Fault:
        """Ask the child, starting it (and fetching the model) if need be."""
        async with self._turn:
            try:
                process = await self._started(on_note)
                reply = await asyncio.wait_for(self._exchange(process, shape.request(ask)), ANSWER_SECONDS)
            except BasculeError as error:
                return Fault(error.code, error.message, error.remedy)
            except (OSError, ValueError, TimeoutError) as error:
                await self._end()
                return self._died(error)
            except asyncio.CancelledError:
                # It cannot be told to stop in the middle; the next question starts another.
                await self._end()
                raise
        if "error" in reply:
            return Fault("local_model_failed", f"{self.name}: {one_line(str(reply['error']), 160)}", "ask again")
        answer = shape.read(str(reply.get("content", "")), self.name, cut=bool(reply.get("cut")))
        if isinstance(answer, Reply):
            await on_text(answer.text)
        return answer

    async def close(self) -> None:
        """End the child."""
        async with self._turn:
            await self._end()

    async def _started(self, on_note: OnNote) -> asyncio.subprocess.Process:
        if self._child is not None and self._child.returncode is None:
            return self._child
        await self._end()
        loop = asyncio.get_running_loop()

        def note(line: str) -> None:
            loop.call_soon_threadsafe(on_note, line)

        parts = await asyncio.to_thread(fetch.ensure, self._cache, dict(os.environ), note)
        self._directory = tempfile.mkdtemp(prefix="bascule-model-")
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            child.__file__,
            str(parts.weights),
            str(parts.library or ""),
            self._directory,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"LANG": "C.UTF-8", "PATH": os.defpath},
            limit=MAX_LINE,
        )
        ready = await asyncio.wait_for(self._line(self._child), START_SECONDS)
        if ready != {"ready": True}:
            raise ValueError("it did not start")
        return self._child

    async def _exchange(self, process: asyncio.subprocess.Process, request: dict[str, Any]) -> dict[str, Any]:
        if process.stdin is None:
            raise ValueError("it has no pipe")
        process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
        await process.stdin.drain()
        return await self._line(process)

    async def _line(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        line = await process.stdout.readline() if process.stdout else b""
        if not line.endswith(b"\n"):
            raise ValueError("it ended")
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError("it answered something else")  # noqa: TRY004 - bad data, not a bad argument
        return value

    def _died(self, error: Exception) -> Fault:
        reason = "it took too long" if isinstance(error, TimeoutError) else one_line(str(error), 120) or "it ended"
        return Fault(
            "local_model_died",
            f"{self.name}: the small model's process was lost ({reason})",
            f"{pins.LIBRARY} may not run on this processor; set ANTHROPIC_API_KEY or OPENAI_API_KEY",
            again=True,
        )

    async def _end(self) -> None:
        process, self._child = self._child, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
        directory, self._directory = self._directory, ""
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
