"""What of a container one program may open: itself, what it needs, their libraries, the agent's files, little else.

Stops: a program reading or running any other file of the image, also by way of the loader: a file whose bytes cannot be
read cannot be run. Landlock holds it, for programs share their container's mounts. Does not stop a program learning by
``stat`` that a file of the image exists.
"""

from __future__ import annotations

import os
import stat

from bascule.core.errors import BasculeError
from bascule.sandboxes.resident.closure import Closures, configured_directories
from bascule.sandboxes.worker import walls
from bascule.sandboxes.worker.digest import sha256

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

EXECUTE = 1
"""``LANDLOCK_ACCESS_FS_EXECUTE``."""

_PROGRAM = walls.READ_FILE | EXECUTE
_TREE = walls.READING | EXECUTE
_SCRATCH = walls.WRITING | walls.REFER
_DEVICE = walls.READ_FILE | walls.WRITE_FILE
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_FILES = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache")
_NAMES = ("/etc/resolv.conf", "/etc/hosts")
"""What a program on a bridge finds names by."""

_CHUNK = 1 << 20
_LONG = 16 << 20


class PlaceError(Exception):
    """A program cannot run; ``code`` and ``message`` are for the gateway."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Places:
    """Looks programs up in this container; its root is read-only, so what was found once stays so."""

    __slots__ = ("_closures", "_hashes", "_scratches")

    def __init__(self, scratches: tuple[str, ...]) -> None:
        """``scratches`` are the places every program may write to."""
        self._scratches = scratches
        self._closures: Closures | None = None
        self._hashes: dict[tuple[int, int, int, int], str] = {}

    def look(self, paths: Iterable[str]) -> tuple[str, str, bytes]:
        """Return real path, SHA-256 and first bytes of the first that is an executable file; empty for none."""
        for path in paths:
            real = os.path.realpath(path)
            try:
                descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                seen = os.fstat(descriptor)
                if stat.S_ISREG(seen.st_mode) and seen.st_mode & 0o111:
                    return real, self._hash(descriptor), os.pread(descriptor, 512, 0)
            finally:
                os.close(descriptor)
        return "", "", b""

    def check(self, program: str, wanted: str) -> None:
        """Refuse a program that is not the one that was judged.

        Raises:
            PlaceError: ``program_changed``.
        """
        real, found, _ = self.look((program,))
        if real != program or found != wanted:
            raise PlaceError("program_changed", f"{program[:200]} is not the file that was judged")

    def rights(self, order: dict[str, object], landlock: int) -> dict[str, int]:
        """Return Landlock rights by path for one program.

        Args:
            order: program, needs, interpreter, readable, writable, bridge.
            landlock: ABI in force.

        Raises:
            PlaceError: a file or library is missing, or an interpreter is not among the needs.
        """
        found: dict[str, int] = {}
        needs = [str(path) for path in _words(order["needs"])]
        script = order["kind"] == "script"
        if script and os.path.realpath(str(order["interpreter"])) not in map(os.path.realpath, needs):
            raise PlaceError(
                "interpreter_not_needed",
                f"{str(order['program'])[:200]} is run by {str(order['interpreter'])[:200]}, "
                "which its entry's needs do not name",
            )
        for path in (str(order["program"]), *needs):
            self._add(path, found)
        for path in _words(order["readable"]):
            _allow(found, path, walls.READING)
        for path in _words(order["writable"]):
            _allow(found, path, _SCRATCH)
        for path in self._scratches:
            _allow(found, path, _SCRATCH)
        bundle = certificates(order)
        if bundle:
            _allow(found, os.path.realpath(bundle), walls.READ_FILE)
        _allow(found, "/proc", walls.READING)
        for path in _DEVICES:
            _allow(found, path, _DEVICE)
        for path in (*_FILES, *(_NAMES if order["bridge"] else ())):
            _allow(found, path, walls.READ_FILE)
        known = (
            (1 << 13) - 1
            | (walls.REFER if landlock >= 2 else 0)
            | (walls.TRUNCATE if landlock >= walls.TRUNCATE_SINCE else 0)
        )
        return {path: rights & known for path, rights in found.items()}

    def _add(self, path: str, found: dict[str, int]) -> None:
        real = os.path.realpath(path)
        if os.path.isdir(real):
            _allow(found, real, _TREE)
            return
        _allow(found, real, _PROGRAM)
        try:
            if self._closures is None:
                self._closures = Closures(configured_directories())
            for library, _ in self._closures.files_of(real):
                _allow(found, library, _PROGRAM)
        except BasculeError as error:
            raise PlaceError(error.code, error.message) from None

    def _hash(self, descriptor: int) -> str:
        seen = os.fstat(descriptor)
        key = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_ctime_ns)
        if key not in self._hashes:
            if len(self._hashes) > 1024:
                self._hashes.clear()
            running = _fast_sha256() if seen.st_size > _LONG else sha256()
            offset = 0
            while chunk := os.pread(descriptor, _CHUNK, offset):
                running.update(chunk)
                offset += len(chunk)
            self._hashes[key] = running.hexdigest()
        return self._hashes[key]


def _fast_sha256() -> Any:
    """OpenSSL's, worth its three megabytes of memory where a program is long."""
    from hashlib import sha256 as fast  # noqa: PLC0415 -- most containers never need it

    return fast()


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else []


def _allow(found: dict[str, int], path: str, rights: int) -> None:
    found[path] = found.get(path, 0) | rights


def certificates(order: dict[str, Any]) -> str:
    """Return where this image has the certificates of a program with a way out; empty if it has none or needs none."""
    return next((path for path in _words(order["bundles"]) if os.path.isfile(path)), "")


def open_rules(rights: dict[str, int]) -> list[tuple[int, int]]:
    """Open every path that exists, for :func:`walls.restrict_files`; rights a file cannot have are left out."""
    rules = []
    for path, wanted in rights.items():
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rules.append((descriptor, wanted if is_directory else wanted & (walls.ON_A_FILE | EXECUTE)))
    return rules
