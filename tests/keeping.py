"""A home's memory for tests: real database, real ledger, real desk, in a directory of the test's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.builders import AGENT, agent_policy, file_call, policy
from tests.simulators import Time

from bascule.core.call import Call
from bascule.core.label import Confidentiality, Integrity, Label
from bascule.core.paths import Access
from bascule.core.policy import Policy, Quota
from bascule.core.verdict import Decision, ask
from bascule.desk.pending import PendingDesk
from bascule.desk.rows import SCHEMA as DESK
from bascule.ledger.anchor import HEADS_FILE, Anchor
from bascule.ledger.keys import load_or_create
from bascule.ledger.schema import SCHEMA as LEDGER
from bascule.ledger.store import Ledger
from bascule.ledger.verify import Report, verify
from bascule.state.connection import DATABASE_FILE, Database
from bascule.state.migrations import migrate

ASKS = Decision((ask("l6_exec_allowlist", "exec_miss", "not listed"),))
CARD = ("writes notes.md", "12 bytes")
CLEAN = Label(Integrity.TRUSTED, Confidentiality.PUBLIC)
DIRTY = Label(Integrity.UNTRUSTED, Confidentiality.PRIVATE)


def call(path: str = "notes.md", label: Label = CLEAN) -> Call:
    return file_call(path, Access.WRITE, "write", label=label)


def rules(pending: int = 20, version: str = "v" * 64) -> Policy:
    return replace(policy(agent_policy(quota=Quota(pending_approvals=pending))), version=version)


class Keeping:
    """Everything that remembers, opened over one directory; ``hook`` is called at the database's named points."""

    def __init__(self, state: Path, time: Time | None = None, hook=None) -> None:
        self.state = state
        self.time = time or Time()
        self.path = state / DATABASE_FILE
        self.database = Database(self.path, hook) if hook else Database(self.path)
        migrate(self.database, (LEDGER, DESK))
        self.signer = load_or_create(state)
        self.anchor = Anchor(self.signer, state / HEADS_FILE)
        self.ledger = Ledger(self.database, self.time, self.anchor)
        self.desk = PendingDesk(self.database, self.time, self.ledger)

    def decided(self) -> int:
        return self.ledger.append_now("decided", {"agent": AGENT, "tool": "write"}, durable=False)

    async def asked(self, path: str = "notes.md", label: Label = CLEAN, under: Policy | None = None):
        return await self.desk.open(call(path, label), ASKS, CARD, self.decided(), under or rules())

    def heads(self) -> list[str]:
        copy = self.state / HEADS_FILE
        return copy.read_text().splitlines() if copy.exists() else []

    def verified(self) -> Report:
        return verify(self.path, self.signer.public, self.heads())

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Keeping:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
