"""What a program word means on this machine: which file, of which kind, with which content.

Stops: a bare name being found anywhere but ``/usr/bin`` and ``/bin``, and a file that does many things by its name
being judged as one of them. Looks only; who may run what is decided elsewhere. Never raises: what cannot be told is
missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bascule.core.paths import BOX_ROOT, is_within, normal
from bascule.core.plan import Program, ProgramKind
from bascule.core.policy import AgentPolicy
from bascule.linux.calls import open_without_links

SEARCH = ("/usr/bin", "/bin")
"""Where bare names are looked up; the environment has no say."""

MULTICALL = frozenset({"busybox", "toybox", "coreutils", "sbase-box", "ubase-box", "uutils", "systemctl", "multicall"})
"""Files that act by the name they are called by."""

_LONGEST_WORD = 4096
_CHUNK = 1 << 20
_FLAGS = os.O_RDONLY | os.O_NONBLOCK

Identity = tuple[str, int, int, int, int, int]


@dataclass(slots=True)
class HostPrograms:
    """Implements :class:`bascule.core.ports.Programs`; remembers hashes until the file's change time moves."""

    search: tuple[str, ...] = SEARCH
    _known: dict[Identity, tuple[str, bytes]] = field(default_factory=dict)

    async def resolve(self, word: str, policy: AgentPolicy) -> Program:
        """Resolve a bare name, an absolute path, or a path in the agent's ``tools/``; hash the file. Never raises.

        Args:
            word: as the command has it.
            policy: whose command; a relative path starts at the agent's directory.
        """
        if self._is_system(word):
            found = self.look(word, policy.layout.agent_root, hashing=False)
            if found.kind is not ProgramKind.MISSING:
                return found
        return await asyncio.to_thread(self.look, word, policy.layout.agent_root)

    def _is_system(self, word: str) -> bool:
        """True if it is looked for only where this very process came from: no disk there is slower than ourselves."""
        return "/" not in word or word.rpartition("/")[0] in self.search

    def look(self, word: str, agent_root: str, *, hashing: bool = True) -> Program:
        """The same, at once; without ``hashing`` a file of unknown content is missing, whatever else there is."""
        missing = Program(word, "", ProgramKind.MISSING)
        if not word or "\0" in word or len(word) > _LONGEST_WORD:
            return missing
        try:
            for candidate in self._candidates(word, agent_root):
                with contextlib.suppress(OSError):
                    if (found := self._inspect(word, candidate, agent_root, hashing=hashing)) is not None:
                        return found
        except ValueError:
            return missing
        return missing

    def _candidates(self, word: str, agent_root: str) -> tuple[str, ...]:
        if "/" not in word:
            return tuple(f"{folder}/{word}" for folder in self.search) if word not in {".", ".."} else ()
        plain = normal(word)
        if is_within(plain, BOX_ROOT):
            plain = agent_root + plain[len(BOX_ROOT) :]
        return (plain,)

    def _inspect(self, word: str, path: str, agent_root: str, *, hashing: bool) -> Program | None:
        if is_within(path, agent_root):
            # In the agent's own directory only tools/ holds programs, and no link leads there.
            if not is_within(path, f"{agent_root}/tools"):
                return None
            real, descriptor = path, open_without_links(path, _FLAGS)
        else:
            real = os.path.realpath(path)
            if is_within(real, agent_root):
                return None
            descriptor = open_without_links(real, _FLAGS)
        try:
            seen = os.fstat(descriptor)
            if not stat.S_ISREG(seen.st_mode) or not seen.st_mode & 0o111:
                return None
            key = (real, seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
            known = self._known.get(key) or (self._content(descriptor, key) if hashing else None)
        finally:
            os.close(descriptor)
        return classify(word, real, *known) if known is not None else Program(word, "", ProgramKind.MISSING)

    def _content(self, descriptor: int, key: Identity) -> tuple[str, bytes]:
        if len(self._known) > 512:
            self._known.clear()
        found = self._known[key] = _hash(lambda offset: os.pread(descriptor, _CHUNK, offset))
        return found


def _hash(read: Callable[[int], bytes]) -> tuple[str, bytes]:
    running = hashlib.sha256()
    head = b""
    offset = 0
    while chunk := read(offset):
        head = head or chunk[:512]
        running.update(chunk)
        offset += len(chunk)
    return running.hexdigest(), head


def classify(word: str, real: str, digest: str, head: bytes) -> Program:
    """Return the program that a file is.

    Args:
        word: what the command asked for.
        real: path after links.
        digest: of its content.
        head: its first bytes.
    """
    if head.startswith(b"#!"):
        line = head[2:].partition(b"\n")[0].strip().split()
        interpreter = os.fsdecode(line[0]) if line else ""
        if not interpreter.startswith("/") or normal(interpreter) != interpreter:
            return Program(word, "", ProgramKind.MISSING)
        return Program(word, real, ProgramKind.SCRIPT, digest, interpreter)
    if not head.startswith(b"\x7fELF"):
        return Program(word, "", ProgramKind.MISSING)
    name = Path(real).name
    if name in MULTICALL or name.partition(".")[0] in MULTICALL:
        return Program(word, real, ProgramKind.MULTICALL, digest)
    return Program(word, real, ProgramKind.NATIVE, digest)
