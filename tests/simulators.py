"""Simulators of the gate's neighbours: small, complete, and able to fail on demand."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import replace

from tests.builders import NOW

from bascule.core.answer import Approval, State
from bascule.core.box import FileContent
from bascule.core.errors import Unavailable
from bascule.core.facts import Facts


class Time:
    def __init__(self, now: float = NOW) -> None:
        self.at = now

    def now(self) -> float:
        return self.at


class Ledger:
    """Records in memory; ``fail_on`` names a kind that cannot be written."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, dict, bool]] = []
        self.fail_on = ""

    async def append(self, kind, body, *, durable):
        if kind == self.fail_on:
            raise Unavailable("disk_full", "the disk is full")
        self.rows.append((kind, dict(body), durable))
        return len(self.rows)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.rows]


class Questions:
    """A desk in memory with the real rules: one row a call, compare-and-swap, single use."""

    def __init__(self) -> None:
        self.rows: dict[str, Approval] = {}
        self.full = False
        self._changed = asyncio.Event()

    async def open(self, call, decision, card, seq, policy):
        if self.full:
            raise Unavailable("desk_full", "too many questions are open")
        standing = await self.matching(call, policy)
        if standing is not None:
            return standing
        row = Approval(
            f"apr_{len(self.rows)}", "CODE", call.digest, call.agent, call.session, call.tool, State.PENDING,
            NOW, NOW + 600, tuple(card), "", policy.version, seq,
        )  # fmt: skip
        self.rows[row.id] = row
        return row

    async def matching(self, call, policy):
        for row in self.rows.values():
            if row.digest == call.digest and row.state in {State.PENDING, State.APPROVED}:
                return row
        return None

    async def take(self, call, policy):
        for row in self.rows.values():
            if row.digest == call.digest and row.state is State.APPROVED and row.policy_version == policy.version:
                self.rows[row.id] = replace(row, state=State.CONSUMED)
                return self.rows[row.id]
        return None

    async def wait(self, approval_id, seconds):
        if self.rows[approval_id].state is State.PENDING:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)
        return self.rows[approval_id].state

    def answer(self, approval_id: str, state: State) -> None:
        self.rows[approval_id] = replace(self.rows[approval_id], state=state, answered_by="operator")
        self._changed.set()


class Truth:
    """Facts that a test may change between two judgements."""

    def __init__(self) -> None:
        self.facts = Facts(NOW)
        self.then: list[Facts] = []
        self.counted = 0
        self.brake = ""

    def contained(self, agent):
        return self.brake

    def count(self, agent):
        self.counted += 1

    async def snapshot(self, call, policy):
        return self.then.pop(0) if self.then else self.facts


class Disk:
    """A file worker over a dictionary, counting effects."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.content = dict(files or {})
        self.effects: list[str] = []

    async def read(self, path, *, offset, limit):
        if path not in self.content:
            raise Unavailable("file_missing", f"there is no file {path}")
        self.effects.append(f"read {path}")
        whole = self.content[path]
        part = whole[offset : offset + limit]
        return FileContent(part, len(whole), hashlib.sha256(whole).hexdigest(), offset + limit < len(whole))

    async def write(self, path, content, *, append):
        self.effects.append(f"write {path}")
        self.content[path] = (self.content.get(path, b"") if append else b"") + content
        return hashlib.sha256(self.content[path]).hexdigest()

    async def edit(self, path, old, new, *, every, expected_sha256):
        if expected_sha256 and expected_sha256 != await self.identify(path):
            raise Unavailable("file_changed", "the file changed")
        self.effects.append(f"edit {path}")
        self.content[path] = self.content[path].replace(old.encode(), new.encode())
        return await self.identify(path)

    async def identify(self, path):
        return hashlib.sha256(self.content[path]).hexdigest() if path in self.content else ""

    async def glob(self, pattern, *, limit):
        return tuple(sorted(self.content))


class Yard:
    """Boxes that hand out one disk; ``mounted`` tells what was asked to be visible besides."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.mounted: list = []
        self.requests: list = []
        self.answers: list = []

    async def files(self, key, mounts=()):
        self.mounted.append(tuple(mount.path for mount in mounts))
        return self.disk

    async def run(self, request):
        self.requests.append(request)
        return self.answers.pop(0)

    async def posture(self, key, *, fresh=False):
        raise Unavailable("no_box", "there is no box")

    async def stop(self, agent):
        self.disk.effects.append(f"stop {agent}")
