"""Who knows whom: the one place where a gateway is put together from its rooms.

Stops: two rooms being introduced differently in two processes: the gateway, the demo and every test that wants a real
gateway are built here. Does not decide, record or confine anything itself.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import bascule
from bascule.app.brake import Brake
from bascule.app.bulletin import Bulletin
from bascule.app.conversation import Conversations
from bascule.app.doorkeeping import Keys
from bascule.app.egress import WaysOut
from bascule.app.office import Office
from bascule.app.staff import Identity, Staff
from bascule.app.witness import LedgerWitness
from bascule.channels.signal import tables as signal_tables
from bascule.channels.signal.pairing import Pairing
from bascule.core.box import BoxKey
from bascule.core.canonical import Json
from bascule.core.errors import BasculeError
from bascule.core.facts import Enforcement
from bascule.core.ids import AgentId, SessionKey, main_session
from bascule.core.paths import locate
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Boxes, Clock, Pages, Programs, Tool, Web
from bascule.core.rights import Account
from bascule.desk import rows as desk_rows
from bascule.desk.pending import PendingDesk
from bascule.gate import Boundary, Gate, Wiring
from bascule.host.policy_files import Loaded
from bascule.host.posture import Lookups, Snapshots
from bascule.host.prompts import MAX_PROMPT, read_prompts
from bascule.host.site import site_of
from bascule.layers import l1_account, l2_sandbox, l3_network, l7_os_permissions
from bascule.ledger import schema as ledger_schema
from bascule.ledger.anchor import HEADS_FILE, Anchor
from bascule.ledger.chain import Record, timestamp
from bascule.ledger.keys import load_or_create
from bascule.ledger.store import Ledger
from bascule.ledger.verify import verify_recent
from bascule.runtime import schema as runtime_schema
from bascule.runtime.asking import Asker
from bascule.runtime.history import History
from bascule.runtime.providers.choice import build, choose
from bascule.runtime.providers.port import Provider
from bascule.runtime.sessions import Sessions
from bascule.runtime.turns import Turns
from bascule.service.passkeys import Passkeys
from bascule.service.port import Doors
from bascule.service.shapes import ErrorBody
from bascule.state import containment as containment_state
from bascule.state.connection import Database
from bascule.state.containment import Containment
from bascule.state.lock import HomeLock, prepare
from bascule.state.migrations import migrate
from bascule.tokens import store as tokens_store
from bascule.tokens.browsers import Browsers
from bascule.tokens.doors import TokenDoors
from bascule.tokens.passkeys import PasskeyRing, Visitors
from bascule.tokens.store import Tokens
from bascule.tools.edit.run import Edit
from bascule.tools.exec.run import Exec
from bascule.tools.named.run import Named
from bascule.tools.named.spec import SPECS
from bascule.tools.read.run import Read
from bascule.tools.web_fetch.run import WebFetch
from bascule.tools.web_search.run import WebSearch
from bascule.tools.write.run import Write

DATABASE = "bascule.db"

SCHEMAS = (
    ledger_schema.SCHEMA,
    desk_rows.SCHEMA,
    runtime_schema.SCHEMA,
    containment_state.SCHEMA,
    tokens_store.SCHEMA,
    signal_tables.SCHEMA,
)
"""Every room's tables, in the order they are made."""

CHECKS = {
    Enforcement.ACCOUNT: l1_account.check,
    Enforcement.SANDBOX: l2_sandbox.check,
    Enforcement.NETWORK: l3_network.check,
    Enforcement.OS_PERMISSIONS: l7_os_permissions.check,
}
"""The layer that reads a box's self-test for each enforcement it shows."""

UNKNOWN = "outcome_unknown"
"""Code of an effect that began and whose end nobody saw."""

UNKNOWN_SECONDS = 86_400.0
"""How long the status names such an effect: a day, for an operator looks at least daily."""

UNKNOWN_SHOWN = 20
"""Such effects the status names at most."""

LITTLE_ROOM = 16 << 20
"""Free bytes below which the status warns: the write-ahead log alone may take 8 MB before it is folded back."""

BUILT_TOOLS = frozenset({"read", "write", "edit", "exec", "web_fetch", "web_search"})
"""Tools this version carries out."""


class SystemClock:
    """The machine's time of day."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()


@dataclass(frozen=True, slots=True)
class House:
    """A gateway at work."""

    office: Office
    gate: Gate
    conversations: Conversations
    ledger: Ledger
    desk: PendingDesk
    containment: Containment
    boxes: Boxes
    doors: Doors
    passkeys: Passkeys
    database: Database
    clock: Clock


@dataclass(frozen=True, slots=True)
class Ground:
    """What a gateway stands on.

    Attributes:
        home: absolute path.
        loaded: the policy.
        boxes: where effects happen.
        programs: what program words mean.
        pages: what makes text of pages.
        ways: what leads out, for boxes and for the gateway's own client.
        environment: where model keys are.
        mode: ``root`` or ``rootless``.
        ephemeral: it lives for one verb.
        log: takes one line.
        stop: ends the process.
        reached: told every boundary a crossing passes.
        clock: the time.
        trouble: what is wrong, at this moment, with what the gateway was given; for its status.
        dashboard: where its pages are, empty if it serves none.
        account: what the machine grants an agent's account.
    """

    home: Path
    loaded: Loaded
    boxes: Boxes
    programs: Programs
    pages: Pages
    ways: WaysOut
    environment: Mapping[str, str]
    mode: str
    ephemeral: bool
    log: Callable[[str], None]
    stop: Callable[[], None]
    reached: Callable[[Boundary], None]
    clock: Clock
    account: Callable[[AgentId], Account | None]
    trouble: Callable[[], tuple[ErrorBody, ...]] = tuple
    dashboard: Callable[[], str] = str


@asynccontextmanager
async def open_house(ground: Ground) -> AsyncIterator[House]:
    """Open the home's state, put a gateway together, name what the last one left unfinished, and close in order.

    Raises:
        BasculeError: the state is locked, damaged, foreign or out of space.
    """
    state = ground.home / "state"
    prepare(state)
    with HomeLock(state):
        database = Database(state / DATABASE)
        try:
            migrate(database, SCHEMAS)
            signer = load_or_create(state)
            # Before the ledger mends its copy of the heads, which may be all that shows a loss.
            tampered = _tampered(state, signer.public, ground.log)
            ledger = Ledger(database, ground.clock, Anchor(signer, state / HEADS_FILE))
            house = _house(ground, database, ledger, tampered)
            await _open_record(ground, ledger)
            await house.desk.grants.begin(ground.loaded.policy)
            ledger.anchor()
            try:
                yield house
            finally:
                await house.conversations.turns.stop()
                await ground.ways.close()
                await end_boxes(ground.boxes, ground.log)
                await _close_record(ground, ledger)
        finally:
            database.close()


async def end_boxes(boxes: Boxes, log: Callable[[str], None]) -> None:
    """End every box; a backend that does not answer (a lost engine) keeps the ledger from being closed no more."""
    try:
        await boxes.stop(None)
    except BasculeError as error:
        log(f"boxes may still be there: {error}")


async def _open_record(ground: Ground, ledger: Ledger) -> None:
    """Record the start, and for every effect that began and never ended that nobody knows how it went."""
    policy = ground.loaded.policy
    body: dict[str, Json] = {"version": bascule.__version__, "policy": policy.version, "mode": ground.mode}
    await ledger.append("opened", body, durable=False)
    for left in ledger.unfinished():
        unknown: dict[str, Json] = {
            "agent": left.agent,
            "session": left.session,
            "digest": left.digest,
            "parent": left.seq,
            "tool": _tool_of(left),
            "code": UNKNOWN,
        }
        await ledger.append("unknown", unknown, durable=True)
        what = f"{_tool_of(left)} of {left.agent} in {left.session}"
        ground.log(f"outcome unknown: {what} had begun (record {left.seq}); it is not run again")


async def _close_record(ground: Ground, ledger: Ledger) -> None:
    """Record the end and sign it; a gateway that cannot (a full disk) ends all the same, and says so in its log."""
    try:
        await ledger.append("stopped", {}, durable=True)
        ledger.anchor()
    except BasculeError as error:
        ground.log(f"the end could not be recorded: {error}")


def _tool_of(record: Record) -> str:
    return str(json.loads(record.body).get("tool", ""))


def _tampered(state: Path, public: Ed25519PublicKey, log: Callable[[str], None]) -> tuple[ErrorBody, ...]:
    """Verify what came after the last signed head, and every head; a gateway runs on, for its operator must know."""
    heads: list[str] = []
    with suppress(OSError):  # that there is none yet is well; that it cannot be read, the ledger says when it opens
        heads = (state / HEADS_FILE).read_text("utf-8", "replace").splitlines()
    found = verify_recent(state / DATABASE, public, heads).problems
    if not found:
        return ()
    said = f"critical: the ledger does not hold: {found[0].detail} [{found[0].code}]"
    log(said)
    return (ErrorBody(code="ledger_tampered", message=said, remedy="run: bascule ledger verify"),)


def _house(ground: Ground, database: Database, ledger: Ledger, tampered: tuple[ErrorBody, ...]) -> House:
    policy, clock = ground.loaded.policy, ground.clock
    desk = PendingDesk(database, clock, ledger)
    containment = Containment(database, clock)
    lookups = Lookups(containment.reason, lambda: "", ground.account, ground.ways.problem)
    snapshots = Snapshots(ground.boxes, clock, CHECKS, lookups)
    client = ground.ways.begin(ledger, containment.reason, lambda agent: gate.under_way(agent))  # noqa: PLW0108 -- made below
    tools = _tools(ground, client)
    wiring = Wiring(tools, ledger, desk, snapshots, clock, _masker(ground), ground.reached)
    gate = Gate(policy, wiring)
    sessions = Sessions(database, clock)
    history = History(database, clock)
    turns = Turns(gate, desk, history, Asker(history, ledger), LedgerWitness(ledger))
    conversations = Conversations(policy, tools, turns, _providers(ground), _prompts(ground), ground.log)
    visitors = Visitors(Tokens(database, clock, ledger), Browsers(database, clock, ledger), lambda: policy)
    ring = PasskeyRing(database, clock, ledger, visitors)
    keys = Keys(visitors.tokens, visitors.browsers, lambda: policy, clock, ground.dashboard, ring)
    identity = Identity(str(ground.home), bascule.__version__, os.getpid(), clock.now(), ground.ephemeral, ground.mode)
    staff = Staff(
        identity, ground.loaded, tools, gate, desk, ledger, sessions, snapshots, ground.boxes, conversations,
        containment, Brake(containment, ledger, desk, gate, turns, ground.ways, ground.boxes), Bulletin(ledger), keys,
        Pairing(database, clock) if policy.signal is not None else None,
        lambda: [*tampered, *_problems(ground, ledger)], ground.stop,
    )  # fmt: skip
    doors = TokenDoors(keys.tokens, keys.browsers, lambda: policy, clock)
    return House(
        Office(staff), gate, conversations, ledger, desk, containment, ground.boxes, doors, ring, database, clock
    )


def _tools(ground: Ground, web: Web) -> Mapping[str, Tool]:
    policies = {str(agent): rules for agent, rules in ground.loaded.policy.agents.items()}
    built: tuple[Tool, ...] = (
        Read(ground.boxes),
        Write(ground.boxes),
        Edit(ground.boxes),
        Exec(ground.boxes, ground.programs, policies),
        WebFetch(web, ground.pages),
        WebSearch(web, ground.ways.search, lambda name: ground.environment.get(name, "")),
    )
    return {tool.spec.name: tool for tool in (*built, *(Named(spec) for spec in SPECS))}


def _providers(ground: Ground) -> Callable[[AgentPolicy], Provider]:
    cache = ground.home / "state" / "models"
    made: dict[str, Provider] = {}

    def provider(rules: AgentPolicy) -> Provider:
        choice = choose(ground.loaded.policy, rules, ground.environment)
        if choice.name not in made:
            made[choice.name] = build(choice, ground.environment, site_of(ground.home).config, cache)
        return made[choice.name]

    return provider


def _prompts(ground: Ground) -> Callable[[AgentPolicy, SessionKey], Awaitable[str]]:
    """Return what reads an agent's prompts; MEMORY.md joins them in the operator's own main session alone."""

    async def prompts(rules: AgentPolicy, session: SessionKey) -> str:
        text = read_prompts(rules.prompts)
        if session != main_session(rules.id):
            return text
        files = await ground.boxes.files(BoxKey(rules.id, session))
        for path in rules.main_only:
            place = locate(path, rules.layout)
            if await files.identify(place.box):
                found = await files.read(place.box, offset=0, limit=MAX_PROMPT)
                text += "\n\n" + found.content.decode("utf-8", "backslashreplace")
        return text

    return prompts


def _masker(ground: Ground) -> Callable[[bytes], bytes]:
    """Return what hides the gateway's keys in every result: an agent must not read back what its gateway holds."""
    policy = ground.loaded.policy
    names = {provider.key_env for provider in policy.providers.values()}
    names |= {rules.egress.search.key_env for rules in policy.agents.values()}
    names |= {"ANTHROPIC_API_KEY", "OPENAI_API_KEY"}
    secrets = [value.encode() for name in names if name and len(value := ground.environment.get(name, "")) >= 8]

    def mask(content: bytes) -> bytes:
        for secret in secrets:
            content = content.replace(secret, b"[masked]")
        return content

    return mask


def _problems(ground: Ground, ledger: Ledger) -> list[ErrorBody]:
    found = [
        ErrorBody(code=finding.check, message=f"{finding.severity}: {finding.detail}", remedy=finding.remedy)
        for finding in ground.loaded.findings
        if finding.severity
    ]
    found += ground.trouble()
    if ledger.anchor_problem:
        found.append(ErrorBody(code="ledger_anchor", message=ledger.anchor_problem, remedy="free space"))
    room = os.statvfs(ground.home / "state")
    free = room.f_bavail * room.f_frsize
    if free < LITTLE_ROOM:
        said = (
            f"critical: {free >> 10} KiB are left in {ground.home / 'state'}; what cannot be recorded does not happen"
        )
        found.append(ErrorBody(code="disk_full", message=said, remedy="free some space"))
    since = timestamp(ground.clock.now() - UNKNOWN_SECONDS)
    for left in ledger.tail(UNKNOWN_SHOWN, kind="unknown"):
        if left.at >= since:
            said = f"{_tool_of(left)} of {left.agent} had begun when a gateway ended; nobody knows how it went"
            remedy = f"check what is so; see: bascule ledger show {left.parent}"
            found.append(ErrorBody(code=UNKNOWN, message=said, remedy=remedy))
    return found
