"""A file worker with granted paths: it ends with its first operation.

Stops: a grant outliving the call it was given for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bascule.core.box import FileContent
from bascule.sandboxes.files import WorkerFiles


class OneShot:
    """A worker with granted paths: it ends with its first operation, so that a grant outlives no call."""

    def __init__(self, files: WorkerFiles, end: Callable[[], Awaitable[None]]) -> None:
        """Use ``files`` once; ``end`` ends the box they are in."""
        self._files = files
        self._ending = end

    async def _end(self) -> None:
        await self._ending()

    async def read(self, path: str, *, offset: int, limit: int) -> FileContent:
        """See :class:`bascule.core.ports.Files`."""
        try:
            return await self._files.read(path, offset=offset, limit=limit)
        finally:
            await asyncio.shield(self._end())

    async def write(self, path: str, content: bytes, *, append: bool) -> str:
        """See :class:`bascule.core.ports.Files`."""
        try:
            return await self._files.write(path, content, append=append)
        finally:
            await asyncio.shield(self._end())

    async def edit(self, path: str, old: str, new: str, *, every: bool, expected_sha256: str) -> str:
        """See :class:`bascule.core.ports.Files`."""
        try:
            return await self._files.edit(path, old, new, every=every, expected_sha256=expected_sha256)
        finally:
            await asyncio.shield(self._end())

    async def identify(self, path: str) -> str:
        """See :class:`bascule.core.ports.Files`."""
        try:
            return await self._files.identify(path)
        finally:
            await asyncio.shield(self._end())

    async def glob(self, pattern: str, *, limit: int) -> tuple[str, ...]:
        """See :class:`bascule.core.ports.Files`."""
        try:
            return await self._files.glob(pattern, limit=limit)
        finally:
            await asyncio.shield(self._end())
