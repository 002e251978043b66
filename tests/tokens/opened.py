"""A home's doors for tests: real database, real ledger, a clock that a test moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.builders import AGENT, agent_policy
from tests.simulators import Time

from bascule.app.doorkeeping import Doorkeeping, Keys
from bascule.core.ids import AgentId
from bascule.core.policy import Operator, Policy
from bascule.ledger.anchor import HEADS_FILE, Anchor
from bascule.ledger.keys import load_or_create
from bascule.ledger.schema import SCHEMA as LEDGER
from bascule.ledger.store import Ledger
from bascule.ledger.verify import Report, verify
from bascule.service.port import Caller, Minting
from bascule.state.connection import DATABASE_FILE, Database
from bascule.state.migrations import migrate
from bascule.tokens.browsers import Browsers
from bascule.tokens.doors import TokenDoors
from bascule.tokens.passkeys import PasskeyRing, Visitors
from bascule.tokens.store import SCHEMA, Tokens
from bascule.tokens.token import parse_minting

WEB = AgentId("bruba-web")
ADDRESS = "http://127.0.0.1:18789"
SHELL = Caller(0, 7, "root")
ALL = "read,approve,chat,admin"

PEOPLE = {
    "Maya": Operator("Maya", chats=True, approves=True),
    "guest": Operator("guest"),
    "talker": Operator("talker", chats=True),
}
POLICY = Policy(
    "v" * 64,
    {AGENT: agent_policy(), WEB: replace(agent_policy(), id=WEB)},
    AGENT,
    operators=("Maya",),
    people=PEOPLE,
)


def asking(name: str = "phone", scopes: str = "read", agents: str = "*", **changes: object) -> Minting:
    return replace(Minting(name, scopes, agents, None, False, 30, None), **changes)  # type: ignore[arg-type] -- a test's own fields


class Silent:
    """No ledger: two processes cannot share one chain, two stores must share one table."""

    def record(self, change, kind, body):
        return 1


class Office(Doorkeeping):
    """The smallest office there is."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys


class Opened:
    """Everything that opens doors, over one directory."""

    def __init__(self, state: Path, time: Time | None = None, **entropy) -> None:
        self.state = state
        self.time = time or Time()
        self.policy = POLICY
        self.address = ADDRESS
        self.path = state / DATABASE_FILE
        self.database = Database(self.path)
        migrate(self.database, (LEDGER, SCHEMA))
        self.signer = load_or_create(state)
        self.ledger = Ledger(self.database, self.time, Anchor(self.signer, state / HEADS_FILE))
        self.tokens = Tokens(self.database, self.time, self.ledger, **entropy)
        self.browsers = Browsers(self.database, self.time, self.ledger, **entropy)
        self.doors = TokenDoors(self.tokens, self.browsers, lambda: self.policy, self.time)
        self.ring = PasskeyRing(
            self.database, self.time, self.ledger, Visitors(self.tokens, self.browsers, lambda: self.policy)
        )
        self.office = Office(
            Keys(self.tokens, self.browsers, lambda: self.policy, self.time, lambda: self.address, self.ring)
        )

    async def made(self, name: str = "phone", scopes: str = "read", *, rooted: bool = True, **changes):
        mint = parse_minting(asking(name, scopes, **changes), self.policy)
        return await self.tokens.create(mint, by="root", rooted=rooted)

    async def linked(self) -> str:
        secret, _ = await self.browsers.make_link(by="root")
        return await self.doors.redeem(secret)

    def without(self, person: str) -> None:
        people = {name: found for name, found in self.policy.people.items() if name != person}
        operators = tuple(name for name in self.policy.operators if name != person)
        self.policy = replace(self.policy, people=people, operators=operators)

    def person(self, name: str, **rights) -> None:
        people = {**self.policy.people, name: Operator(name, **rights)}
        operators = tuple(found.name for found in people.values() if found.approves)
        self.policy = replace(self.policy, people=people, operators=operators)

    def records(self, kind: str) -> list[str]:
        return [found.body for found in self.ledger.tail(999, kind=kind)]

    def verified(self) -> Report:
        copy = self.state / HEADS_FILE
        return verify(self.path, self.signer.public, copy.read_text().splitlines() if copy.exists() else [])

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
