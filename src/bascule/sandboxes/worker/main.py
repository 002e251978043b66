"""The file worker: reads its set-up, builds its walls, measures itself, then does one operation at a time.

Stops: one bad call ending the worker: whatever an operation raises becomes a code. A frame that does not parse does end
it, for then the two sides no longer agree on where messages begin; so does the gateway's going away. Does not stop: an
operation that hangs in the kernel; the gateway's time-out does, by ending the box.
"""

from __future__ import annotations

import os

from bascule.sandboxes.worker import walls
from bascule.sandboxes.worker.frames import (
    HEAD,
    MAX_CONTROL,
    OVERHEAD,
    FrameError,
    body_length,
    flag,
    number,
    pack,
    pairs,
    unpack,
)
from bascule.sandboxes.worker.match import Pattern, PatternError
from bascule.sandboxes.worker.reading import identify, read
from bascule.sandboxes.worker.refusal import RefusedError, code_of
from bascule.sandboxes.worker.roots import Root, Roots, parts_of
from bascule.sandboxes.worker.selftest import SelfTest
from bascule.sandboxes.worker.walking import Walker
from bascule.sandboxes.worker.writing import Writer

TYPE_CHECKING = False  # ``typing`` costs a worker memory and time
if TYPE_CHECKING:
    from bascule.sandboxes.worker.page_worker import PageWorker

MAX_LIMIT = 1 << 40
MAX_HELD = 64 << 20
"""Largest content that may be held in memory at once, whatever the set-up asks for; bytes."""

MAX_ENTRIES = 1 << 24
_BASE_MEMORY = 64 << 20
_FIRST_READ = 64 << 10
_BROKEN = 3


class Limits:
    """Maxima from the set-up, in bytes and directory entries."""

    __slots__ = ("file_bytes", "glob_entries", "read_bytes", "write_bytes")

    def __init__(self, values: dict[str, bytes]) -> None:
        """Parse them.

        Raises:
            KeyError: one is missing.
            FrameError: one is no number or too large.
        """
        self.file_bytes = number(values["file_bytes"], MAX_LIMIT)
        self.write_bytes = number(values["write_bytes"], MAX_HELD)
        self.read_bytes = number(values["read_bytes"], MAX_HELD)
        self.glob_entries = number(values["glob_entries"], MAX_ENTRIES)


class Worker:
    """The operations; each takes the fields after its name and returns the fields after ``ok``."""

    def __init__(self, roots: Roots, limits: Limits) -> None:
        """Bind the operations to where they may work and how much."""
        self._roots = roots
        self._limits = limits
        self._writer = Writer(roots, limits.file_bytes, limits.write_bytes)
        self._operations = {
            b"read": self._read,
            b"write": self._write,
            b"edit": self._edit,
            b"identify": self._identify,
            b"glob": self._glob,
            b"ping": self._ping,
        }

    @property
    def largest_request(self) -> int:
        """Most bytes of a request body: one content and what goes with it."""
        return self._limits.write_bytes + OVERHEAD

    def answer(self, fields: list[bytes]) -> list[bytes]:
        """Carry out one request and return the answer; raises nothing but what ends a process."""
        try:
            return [b"ok", *self._operations[fields[0]](fields[1:])]
        except (KeyError, IndexError, FrameError):
            return [b"no", b"request_unknown"]
        except PatternError:
            return [b"no", b"pattern_refused"]
        except Exception as error:  # noqa: BLE001  # one bad call must not end the worker
            return [b"no", code_of(error).encode("ascii")]

    def _read(self, fields: list[bytes]) -> list[bytes]:
        path, offset, limit = _counted(fields, 3)
        wanted = number(limit, self._limits.read_bytes)
        size, digest, content = read(self._roots, path, number(offset, 1 << 62), wanted, self._limits.file_bytes)
        return [str(size).encode("ascii"), digest, content]

    def _write(self, fields: list[bytes]) -> list[bytes]:
        path, append, content = _counted(fields, 3)
        return [self._writer.write(path, content, append=flag(append))]

    def _edit(self, fields: list[bytes]) -> list[bytes]:
        path, old, new, every, expected = _counted(fields, 5)
        return [self._writer.edit(path, old, new, expected, every=flag(every))]

    def _identify(self, fields: list[bytes]) -> list[bytes]:
        return [identify(self._roots, _counted(fields, 1)[0], self._limits.file_bytes)]

    def _ping(self, fields: list[bytes]) -> list[bytes]:
        return _counted(fields, 0)

    def _glob(self, fields: list[bytes]) -> list[bytes]:
        pattern, limit = _counted(fields, 2)
        try:
            parsed = Pattern(pattern.decode("utf-8"))
        except UnicodeDecodeError:
            raise PatternError("not UTF-8") from None
        found = Walker(self._roots, self._limits.glob_entries, number(limit, MAX_ENTRIES)).expand(parsed)
        names = b"\0".join(found)
        if len(names) > self._limits.read_bytes:
            raise RefusedError("glob_too_many")
        return [str(len(found)).encode("ascii"), names]


def _counted(fields: list[bytes], count: int) -> list[bytes]:
    if len(fields) != count:
        raise FrameError("wrong number of fields")
    return fields


class SetUp:
    """What the gateway told the worker: the canary's path, roots as (path, writable), limits, and its work."""

    __slots__ = ("canary", "limits", "pages", "roots")

    def __init__(self, canary: bytes, roots: list[tuple[bytes, bool]], limits: Limits, *, pages: bool) -> None:
        """Hold them; see :func:`read_setup`."""
        self.canary, self.roots, self.limits, self.pages = canary, roots, limits, pages


def read_setup(fields: list[bytes]) -> SetUp:
    """Return the set-up; a worker that reads pages has no roots, and any other has some.

    Raises:
        FrameError: an unknown, doubled or missing name, or a value that does not parse.
    """
    values: dict[str, bytes] = {}
    roots: list[tuple[bytes, bool]] = []
    for name, value in pairs(fields):
        if name == "root" and value[:3] in {b"ro:", b"rw:"}:
            parts_of(value[3:])
            roots.append((value[3:], value[:3] == b"rw:"))
        elif name in values or name == "root":
            raise FrameError("doubled or malformed")
        else:
            values[name] = value
    expected = {"version", "canary", "pages", *Limits.__slots__}
    if set(values) != expected or values["version"] != b"1":
        raise FrameError("set-up incomplete")
    pages = flag(values["pages"])
    if pages == bool(roots):
        raise FrameError("files or pages")
    return SetUp(values["canary"], roots, Limits(values), pages=pages)


def harden(fields: list[bytes]) -> tuple[Worker | PageWorker, list[bytes]]:
    """Open the roots, build the walls, and return the worker and its hello.

    Raises:
        FrameError: the set-up does not parse.
        RefusedError: a root's path is not plain.
        OSError: a root is missing, or a wall cannot be built.
    """
    told = read_setup(fields)
    limits = told.limits
    os.umask(0)
    walls.ignore_interrupts()
    reader = _page_worker(limits) if told.pages else None
    test = SelfTest(told.canary)
    roots = Roots([Root(path, writable=writable) for path, writable in told.roots])
    rules = roots.landlock_rules()
    held = max(limits.write_bytes, limits.read_bytes)
    walls.limit_resources(limits.file_bytes, _BASE_MEMORY + 6 * held)
    walls.drop_privileges()
    landlock = walls.restrict_files(rules)
    for descriptor, _ in rules:
        os.close(descriptor)
    dumpable = walls.is_dumpable()
    walls.filter_system_calls()
    return reader or Worker(roots, limits), test.report(landlock, dumpable=dumpable)


def _page_worker(limits: Limits) -> PageWorker:
    """Load what reads pages: before the walls, behind which no module can be read, and only where it is wanted."""
    from bascule.sandboxes.worker.page_worker import PageWorker  # noqa: PLC0415 -- costs a file worker memory and time

    return PageWorker(limits.write_bytes, limits.read_bytes)


def receive(channel: int, maximum: int) -> list[bytes] | None:
    """Return the next frame's fields, or None at the end of the stream.

    Raises:
        FrameError: it does not parse, or ends in the middle.
        OSError: the socket broke.
    """
    start = os.read(channel, _FIRST_READ)
    if not start:
        return None
    if len(start) < HEAD:
        start += _exactly(channel, HEAD - len(start))
    missing = HEAD + body_length(start[:HEAD], maximum) - len(start)
    if missing < 0:
        raise FrameError("a second request before the first was answered")
    return unpack(start[HEAD:] + _exactly(channel, missing) if missing else start[HEAD:])


def _exactly(channel: int, count: int) -> bytearray:
    buffer = bytearray(count)
    rest = memoryview(buffer)
    while rest:
        got = os.readv(channel, [rest])
        if got == 0:
            raise FrameError("ended in the middle")
        rest = rest[got:]
    return buffer


def send(channel: int, fields: list[bytes]) -> None:
    """Send one frame.

    Raises:
        OSError: the gateway has gone.
    """
    rest = memoryview(pack(fields))
    while rest:
        rest = rest[os.write(channel, rest) :]


def serve(channel: int, worker: Worker | PageWorker, maximum: int) -> None:
    """Answer requests until the stream ends.

    Raises:
        FrameError: a request does not parse.
        OSError: the gateway has gone.
    """
    while (fields := receive(channel, maximum)) is not None:
        send(channel, worker.answer(fields))


def keep_only(channel: int) -> None:
    """Close every inherited descriptor but the channel; the standard streams lead nowhere from here on.

    They stay occupied, so that no file ever gets their numbers and a last complaint of the interpreter with it.
    """
    os.closerange(3, channel)
    os.closerange(max(channel + 1, 3), 1 << 16)
    reader, writer = os.pipe()
    for stream in {0, 1, 2} - {channel}:
        os.dup2(writer, stream)
    for descriptor in {reader, writer} - {0, 1, 2}:
        os.close(descriptor)


def main(channel: int) -> None:
    """Run the worker on a connected stream socket; never returns."""
    status = _BROKEN
    try:
        keep_only(channel)
        fields = receive(channel, MAX_CONTROL)
        if fields is not None:
            status = _run(channel, fields)
    except (FrameError, OSError):
        status = _BROKEN
    finally:
        os._exit(status)


def _run(channel: int, fields: list[bytes]) -> int:
    try:
        worker, hello = harden(fields)
    except (FrameError, KeyError):
        send(channel, [b"version=1", b"problem=request_unknown"])
        return _BROKEN
    except (RefusedError, OSError) as error:
        send(channel, [b"version=1", b"problem=" + code_of(error).encode("ascii")])
        return _BROKEN
    send(channel, [*hello, b"problem="])
    serve(channel, worker, worker.largest_request)
    return 0
