"""Which shared libraries a program needs, read from the files themselves.

Stops: a program box needing all of ``/usr/lib``, and ``ldd`` running an untrusted file to find out. Reads ELF headers
only, follows ``DT_NEEDED`` through run paths, the loader's configured directories and its default ones. Does not see
what a program loads by name while it runs; such files are named in an entry's ``needs``. Used by the warden and, in a
container, by the resident: hence no dataclasses and no pathlib, see the package.
"""

from __future__ import annotations

import os
import stat
import struct

from bascule.core.errors import Unavailable
from bascule.sandboxes.worker.match import Component, PatternError

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29

_MOST_LIBRARIES = 256
_MOST_HEADERS = 128
_LARGEST_TABLE = 1 << 20

DEFAULT_DIRECTORIES = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
"""Where a loader without a cache looks after its own architecture's directories."""

_ARCHITECTURES = {62: "x86_64-linux-gnu", 183: "aarch64-linux-gnu"}
"""Debian's directory by ELF machine number."""


class Dynamic:
    """What an ELF file says about its loading; all empty for a static program or a file that is no ELF."""

    __slots__ = ("loader", "machine", "needed", "run_paths")

    def __init__(
        self, machine: int = 0, loader: str = "", needed: tuple[str, ...] = (), run_paths: tuple[str, ...] = ()
    ) -> None:
        self.machine, self.loader, self.needed, self.run_paths = machine, loader, needed, run_paths


class _Segment:
    __slots__ = ("address", "kind", "offset", "size")

    def __init__(self, kind: int, offset: int, address: int, size: int) -> None:
        self.kind, self.offset, self.address, self.size = kind, offset, address, size


def read_dynamic(read: Callable[[int, int], bytes]) -> Dynamic:
    """Return the loading information of a 64-bit little-endian ELF file.

    Args:
        read: returns ``size`` bytes at ``offset``, fewer at the end.

    Raises:
        Unavailable: it begins like an ELF file and is malformed or of another class.
    """
    header = read(0, 64)
    if header[:4] != b"\x7fELF":
        return Dynamic()
    if len(header) < 64 or header[4:6] != b"\x02\x01":
        raise Unavailable("program_elf", "a program is not a 64-bit little-endian ELF file")
    try:
        return _read_elf(read, header)
    except (struct.error, ValueError):
        raise Unavailable("program_elf", "a program's ELF headers are malformed") from None


def _read_elf(read: Callable[[int, int], bytes], header: bytes) -> Dynamic:
    machine, table, entry_size, count = (
        struct.unpack_from("<H", header, 18)[0],
        struct.unpack_from("<Q", header, 32)[0],
        struct.unpack_from("<H", header, 54)[0],
        struct.unpack_from("<H", header, 56)[0],
    )
    if entry_size != 56 or count > _MOST_HEADERS:
        raise ValueError
    raw = read(table, entry_size * count)
    segments = []
    for index in range(count):
        kind, _, offset, address, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", raw, index * entry_size)
        segments.append(_Segment(kind, offset, address, size))
    loader = ""
    for segment in segments:
        if segment.kind == _PT_INTERP:
            loader = os.fsdecode(read(segment.offset, min(segment.size, 4096)).rstrip(b"\0"))
    needed, run_paths = _read_names(read, segments)
    return Dynamic(machine, loader, needed, run_paths)


def _read_names(read: Callable[[int, int], bytes], segments: list[_Segment]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    entries: list[tuple[int, int]] = []
    for segment in segments:
        if segment.kind == _PT_DYNAMIC:
            raw = read(segment.offset, min(segment.size, _LARGEST_TABLE))
            entries = [struct.unpack_from("<QQ", raw, at) for at in range(0, len(raw) - 15, 16)]
    live = entries[: next((at for at, (tag, _) in enumerate(entries) if tag == _DT_NULL), len(entries))]
    strings = next((value for tag, value in live if tag == _DT_STRTAB), None)
    if strings is None:
        return (), ()
    base = _file_offset(strings, segments)
    needed = tuple(_string(read, base + value) for tag, value in live if tag == _DT_NEEDED)
    paths = [_string(read, base + value) for tag, value in live if tag in {_DT_RPATH, _DT_RUNPATH}]
    return needed, tuple(part for path in paths for part in path.split(":") if part)


def _file_offset(address: int, segments: list[_Segment]) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            return address - segment.address + segment.offset
    raise ValueError


def _string(read: Callable[[int, int], bytes], offset: int) -> str:
    raw = read(offset, 4096)
    end = raw.find(b"\0")
    if end < 0:
        raise ValueError
    return os.fsdecode(raw[:end])


class Closures:
    """Finds closures and remembers them by path, inode, change time and size."""

    __slots__ = ("_known", "_named", "configured")

    def __init__(self, configured: tuple[str, ...] = ()) -> None:
        """``configured`` are the loader's extra directories (``/etc/ld.so.conf``), in order."""
        self.configured = configured
        self._known: dict[tuple[str, int, int, int, int], tuple[tuple[str, ...], bool]] = {}
        self._named: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = {}

    def of(self, path: str) -> tuple[str, ...]:
        """Return the absolute paths, as the loader will ask for them, that ``path`` needs besides itself.

        Raises:
            Unavailable: a library is missing, or a file is malformed.
        """
        return self._find(path)[0]

    def files_of(self, path: str) -> tuple[tuple[str, str], ...]:
        """Return the same as ``(real path, path by which it is asked for)``, as :func:`both_names` gives them.

        Raises:
            Unavailable: as :meth:`of`.
        """
        libraries = self._find(path)[0]
        if libraries not in self._named:
            self._named[libraries] = tuple(both_names(library) for library in libraries)
        return self._named[libraries]

    def forget(self) -> None:
        """Look everything up anew."""
        self._known.clear()
        self._named.clear()

    def needs_cache(self, path: str) -> bool:
        """True if a library lies where only the loader's cache finds it.

        Raises:
            Unavailable: as :meth:`of`.
        """
        return self._find(path)[1]

    def _find(self, path: str) -> tuple[tuple[str, ...], bool]:
        try:
            seen = os.stat(path)
        except OSError as error:
            raise Unavailable("program_missing", f"{path}: {error.strerror}") from None
        key = (path, seen.st_ino, seen.st_ctime_ns, seen.st_mtime_ns, seen.st_size)
        if key not in self._known:
            if len(self._known) > 1024:
                self.forget()
            self._known[key] = self._search(path)
        return self._known[key]

    def _search(self, path: str) -> tuple[tuple[str, ...], bool]:
        found: dict[str, None] = {}
        beyond_defaults = False
        queue = [path]
        visited = set(queue)
        while queue:
            current = queue.pop(0)
            dynamic = _dynamic_of(current)
            wanted = [dynamic.loader] if dynamic.loader else []
            for name in dynamic.needed:
                library, by_cache = self._locate(name, dynamic, os.path.realpath(current))
                beyond_defaults |= by_cache
                wanted.append(library)
            for library in wanted:
                if library not in visited:
                    visited.add(library)
                    found[library] = None
                    queue.append(library)
            if len(found) > _MOST_LIBRARIES:
                raise Unavailable("program_libraries", f"{path} needs more than {_MOST_LIBRARIES} libraries")
        return tuple(found), beyond_defaults

    def _locate(self, name: str, dynamic: Dynamic, wanting: str) -> tuple[str, bool]:
        if "/" in name:
            return name, False
        origin = wanting.rpartition("/")[0]
        own = _ARCHITECTURES.get(dynamic.machine, "")
        by_file = [part.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for part in dynamic.run_paths]
        default = [f"/lib/{own}", f"/usr/lib/{own}"] if own else []
        default += DEFAULT_DIRECTORIES
        for directory in (*by_file, *default, *self.configured):
            candidate = f"{os.path.normpath(directory)}/{name}"
            if directory.startswith("/") and _dynamic_machine(candidate) == dynamic.machine:
                return candidate, directory not in by_file and directory not in default
        raise Unavailable("program_library_missing", f"{wanting} needs the library {name}, which is not installed")


def both_names(asked: str) -> tuple[str, str]:
    """Return a file's real path, and the path it is asked for by with links in its directories resolved."""
    real = os.path.realpath(asked)
    if real == asked:
        return real, asked
    folder, _, name = asked.rpartition("/")
    return real, f"{os.path.realpath(folder or '/')}/{name}".replace("//", "/")


def _dynamic_of(path: str) -> Dynamic:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Unavailable("program_missing", f"{path}: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unavailable("program_missing", f"{path} is not a regular file")
        return read_dynamic(lambda offset, size: os.pread(descriptor, size, offset))
    finally:
        os.close(descriptor)


def _dynamic_machine(path: str) -> int:
    try:
        return _dynamic_of(path).machine
    except Unavailable:
        return 0


def configured_directories(root: str = "/etc/ld.so.conf") -> tuple[str, ...]:
    """Return the loader's extra directories in the order its configuration names them; empty if there is none."""
    found: list[str] = []
    try:
        with open(root, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return ()
    for line in lines:
        text = line.partition("#")[0].strip()
        if text.startswith("include "):
            for path in _matching(text.removeprefix("include ").strip()):
                found += configured_directories(path)
        elif text.startswith("/"):
            found.append(text)
    return tuple(found)


def _matching(pattern: str) -> list[str]:
    """Return the files whose last component fits, sorted; none for a relative pattern or a folder that is not there."""
    folder, slash, last = pattern.rpartition("/")
    if not pattern.startswith("/") or not last:
        return []
    try:
        wanted = Component(last)
        return [f"{folder}{slash}{name}" for name in sorted(os.listdir(folder or slash)) if wanted.matches(name)]
    except (OSError, PatternError):
        return []
