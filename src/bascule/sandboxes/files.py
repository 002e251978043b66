"""The gateway's end of a file worker: asks, waits, and believes nothing it is told.

Stops: a subverted, hanging or dying worker misleading or holding up the gateway. Every answer is capped before it is
read, checked field by field, compared with what the gateway knows itself (the hash of what it wrote, the pattern a name
must match), and due within a time; a worker that misses any of this is dead to us, and its box is to be replaced. The
sender's uid comes from the kernel. Does not stop: a subverted worker lying about the bytes of a file in its own reach.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from bascule.core.box import FileContent
from bascule.core.errors import Malformed, Unavailable
from bascule.core.paths import normal
from bascule.sandboxes.hello import Hello, Setup, WorkerLimits
from bascule.sandboxes.line import Line, ending, greet
from bascule.sandboxes.worker.frames import OVERHEAD, FrameError, number, pack
from bascule.sandboxes.worker.match import Pattern, PatternError

_SHA256 = re.compile(rb"[0-9a-f]{64}")
_PATH_BYTES = 4095

MALFORMED = {
    "path_not_plain": "is no plain absolute path: no '..', no NUL, names up to 255 bytes",
    "path_outside": "lies outside what this session may reach",
    "path_is_link": "is or passes through a symbolic link, which is never followed",
    "path_is_directory": "is a directory",
    "not_regular_file": "is no regular file",
    "file_has_links": "has more than one hard link, so it may be another file in disguise",
    "file_too_large": "is or would become larger than the limit",
    "edit_no_match": "does not contain the text to replace",
    "edit_not_unique": "contains the text to replace more than once",
    "pattern_refused": "is no pattern this shell knows",
    "glob_too_wide": "would search too many directory entries",
    "glob_too_many": "matches too many files",
    "glob_name_not_text": "matches a file whose name is not UTF-8",
}
"""Codes of refusals that asking again will not change, with the rest of their sentence."""

UNAVAILABLE = {
    "file_missing": "does not exist",
    "file_denied": "may not be opened by the agent's account",
    "file_changed": "has changed meanwhile",
    "file_busy": "is being replaced again and again",
    "file_error": "cannot be opened or changed",
    "read_only": "is read-only here",
    "disk_full": "cannot be written: the disk or quota is full",
    "disk_error": "cannot be read or written: the disk reports an error",
    "worker_exhausted": "needs more memory or descriptors than the file worker has",
    "worker_fault": "met an error inside the file worker",
}
"""Codes of refusals that another state of the machine would lift."""


async def connect(
    channel: socket.socket,
    setup: Setup,
    *,
    seconds: float,
    operation_seconds: float = 30.0,
    name: Callable[[str], str] = str,
) -> WorkerFiles:
    """Send a fresh worker its set-up and wait for its self-test.

    Args:
        channel: the gateway's end of the socket pair; owned from here on, closed on failure.
        setup: roots, canary, limits.
        seconds: how long the worker may take to start.
        operation_seconds: how long each operation may take; the largest file must be hashed within it.
        name: what a person calls a box path.

    Raises:
        Unavailable: as :func:`bascule.sandboxes.line.greet`.
    """
    line, hello = await greet(channel, setup, seconds)
    return WorkerFiles(line, hello, setup.limits, operation_seconds, name)


class WorkerFiles:
    """One agent session's files, by way of its worker; implements ``core.ports.Files``.

    One operation at a time; others wait their turn. An operation that is cancelled, late or answered badly ends the
    conversation: ``dead`` is then True and every later operation raises :class:`Unavailable` ``worker_dead``.
    """

    def __init__(
        self, line: Line, hello: Hello, limits: WorkerLimits, seconds: float, name: Callable[[str], str]
    ) -> None:
        """Use :func:`connect`."""
        self._name = name
        self._line = line
        self._hello = hello
        self._limits = limits
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._dead = False
        self._spent = 0.0

    @property
    def hello(self) -> Hello:
        """The self-test."""
        return self._hello

    @property
    def dead(self) -> bool:
        """True once the worker must be replaced: it misbehaved, or went away or spoke while nobody asked it."""
        if not self._dead and not self._turn.locked() and self._line.is_over:
            self.close()
        return self._dead

    def worn(self, seconds: float) -> bool:
        """True if its operations have taken so long altogether, and none is going on.

        A worker's processor time is limited over its whole life; what its operations took is at least what they used.
        """
        return self._spent >= seconds and not self._turn.locked()

    def close(self) -> None:
        """End the conversation; the worker ends itself when it notices."""
        self._dead = True
        self._line.close()

    async def read(self, path: str, *, offset: int, limit: int) -> FileContent:
        """Return up to ``limit`` bytes from ``offset`` (at most ``read_bytes``), size and hash of the whole file.

        ``truncated`` is True if bytes follow the ones returned.

        Raises:
            Malformed: a code of :data:`MALFORMED`.
            Unavailable: a code of :data:`UNAVAILABLE`, or ``worker_…``.
        """
        if offset < 0 or limit < 0:
            raise Malformed("argument_invalid", "offset and limit may not be negative")
        most = min(limit, self._limits.read_bytes)
        request = [b"read", _box_path(path), str(min(offset, 1 << 62)).encode(), str(most).encode()]
        async with self._turn:
            size_field, digest, content = await self._ask(request, path, 3, most)
            with self._checking():
                size = number(size_field, self._limits.file_bytes)
                if len(content) != min(most, max(0, size - offset)) or not _SHA256.fullmatch(digest):
                    raise FrameError("content and size disagree")
                if len(content) == size and _sha256(content) != digest:
                    raise FrameError("content and hash disagree")
        return FileContent(content, size, digest.decode("ascii"), offset + len(content) < size)

    async def write(self, path: str, content: bytes, *, append: bool) -> str:
        """Replace or extend a file; return the SHA-256 of all of it.

        Atomic, except on a single granted file, which is written in place. Missing directories are made.

        Raises:
            Malformed: a code of :data:`MALFORMED`.
            Unavailable: a code of :data:`UNAVAILABLE`, or ``worker_…``; only after a time-out may it have happened.
        """
        self._cap(path, len(content))
        async with self._turn:
            (digest,) = await self._ask([b"write", _box_path(path), b"%d" % append, content], path, 1, 0)
            with self._checking():
                if not _SHA256.fullmatch(digest) or (not append and digest != _sha256(content)):
                    raise FrameError("not the hash of what was written")
        return digest.decode("ascii")

    async def edit(self, path: str, old: str, new: str, *, every: bool, expected_sha256: str) -> str:
        """Replace text in a file whose hash is still as expected; return the new hash.

        Without ``every``, ``old`` must stand in the file exactly once.

        Raises:
            Malformed: a code of :data:`MALFORMED`; ``argument_invalid`` for an empty ``old`` or a hash that is none.
            Unavailable: a code of :data:`UNAVAILABLE`, or ``worker_…``.
        """
        before, after, expected = _text(old), _text(new), _text(expected_sha256)
        if not before or not _SHA256.fullmatch(expected):
            raise Malformed("argument_invalid", "an edit needs text to replace and the SHA-256 of the file it is about")
        self._cap(path, len(before) + len(after))
        request = [b"edit", _box_path(path), before, after, b"%d" % every, expected]
        async with self._turn:
            (digest,) = await self._ask(request, path, 1, 0)
            with self._checking():
                if not _SHA256.fullmatch(digest):
                    raise FrameError("not a hash")
        return digest.decode("ascii")

    async def identify(self, path: str) -> str:
        """Return the hex SHA-256 of a regular file, or the empty string if nothing is there.

        Raises:
            Malformed: a code of :data:`MALFORMED`.
            Unavailable: a code of :data:`UNAVAILABLE`, or ``worker_…``.
        """
        async with self._turn:
            (digest,) = await self._ask([b"identify", _box_path(path)], path, 1, 0)
            with self._checking():
                if digest and not _SHA256.fullmatch(digest):
                    raise FrameError("not a hash")
        return digest.decode("ascii")

    async def glob(self, pattern: str, *, limit: int) -> tuple[str, ...]:
        """Expand a pattern (backslash makes a character literal); return matches sorted by bytes, as bash would.

        Relative patterns start at ``/workspace`` and give ``./…``; no match gives an empty tuple.

        Raises:
            Malformed: a code of :data:`MALFORMED`; nothing is ever left out silently.
            Unavailable: a code of :data:`UNAVAILABLE`, or ``worker_…``.
        """
        try:
            parsed = Pattern(pattern)
        except PatternError as error:
            raise Malformed("pattern_refused", str(error)) from None
        if limit < 0:
            raise Malformed("argument_invalid", "limit may not be negative")
        async with self._turn:
            count, names = await self._ask(
                [b"glob", _text(pattern), b"%d" % limit], pattern, 2, self._limits.read_bytes
            )
            with self._checking():
                return _matches(count, names, parsed, limit)

    async def ping(self) -> None:
        """Return if the worker answers.

        Raises:
            Unavailable: ``worker_…``.
        """
        async with self._turn:
            await self._ask([b"ping"], "", 0, 0)

    async def _ask(self, request: list[bytes], subject: str, count: int, content_bytes: int) -> list[bytes]:
        """Return the ``count`` fields of a good answer; raise what a refusal means."""
        if self._dead:
            raise Unavailable("worker_dead", "the file worker has ended")
        began = time.monotonic()
        try:
            with ending(self.close):
                async with asyncio.timeout(self._seconds):
                    await self._line.send(pack(request))
                    fields = await self._line.receive(content_bytes + OVERHEAD)
        finally:
            self._spent += time.monotonic() - began
        with self._checking():
            if len(fields) == count + 1 and fields[0] == b"ok":
                return fields[1:]
            if len(fields) != 2 or fields[0] != b"no":
                raise FrameError("neither ok nor no")
            code = fields[1].decode("ascii", "replace")
            if code in MALFORMED:
                raise Malformed(code, f"{_shown(self._name(subject))} {MALFORMED[code]}")
            if code in UNAVAILABLE:
                raise Unavailable(code, f"{_shown(self._name(subject))} {UNAVAILABLE[code]}")
            raise FrameError("a code nobody knows")

    @contextmanager
    def _checking(self) -> Iterator[None]:
        """Whoever answers nonsense is not asked again."""
        try:
            yield
        except FrameError:
            with ending(self.close):
                raise

    def _cap(self, path: str, size: int) -> None:
        if size > self._limits.write_bytes:
            raise Malformed("file_too_large", f"{_shown(self._name(path))} {MALFORMED['file_too_large']}")


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode("ascii")


def _shown(subject: str) -> str:
    return ascii(subject if len(subject) <= 200 else subject[:200] + "...")


def _text(value: str) -> bytes:
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("argument_invalid", "a lone surrogate is not text") from None


def _box_path(path: str) -> bytes:
    encoded = _text(path)
    if not path.startswith("/") or normal(path) != path or len(encoded) > _PATH_BYTES or "\0" in path:
        raise Malformed("path_not_plain", f"{_shown(path)} {MALFORMED['path_not_plain']}")
    return encoded


def _matches(untrusted_count: bytes, untrusted_names: bytes, pattern: Pattern, limit: int) -> tuple[str, ...]:
    count = number(untrusted_count, limit)
    names = untrusted_names.split(b"\0") if untrusted_names else []
    if len(names) != count or any(former >= latter for former, latter in pairwise(names)):
        raise FrameError("matches are not counted or not sorted")
    try:
        texts = tuple(name.decode("utf-8") for name in names)
    except UnicodeDecodeError:
        raise FrameError("a match is not UTF-8") from None
    if not all(map(pattern.matches, texts)):
        raise FrameError("a match does not match")
    return texts
