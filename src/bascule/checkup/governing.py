"""The files that govern a home's agents, and who could change each: ``bascule config verify``.

Stops: starting a gateway on a policy that an agent, or just anybody, could rewrite. A signed manifest of the same files
is another question, which ``policy`` answers by content; this one answers by ownership alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypedDict

from bascule.checkup.looking import files_below, way_to
from bascule.checkup.ownership import EVERYBODY, Holding, Model, Who, hold
from bascule.core.errors import BasculeError, Tampered
from bascule.core.ids import AgentId
from bascule.host import accounts
from bascule.host.agent_names import named_profiles
from bascule.host.people import read_tables
from bascule.host.site import site_of
from bascule.policy.places import APPROVALS_NAME, CONFIG_NAME

POLICY_FILES = (CONFIG_NAME, APPROVALS_NAME)


def who_is_who(home: Path, users: Iterable[str] = ()) -> Who:
    """Return whose accounts are which in a home.

    Args:
        home: absolute path, links resolved.
        users: names of accounts that policy says are operators'.

    Raises:
        BasculeError: the home's table of accounts, or the machine's, cannot be read.
    """
    table, tables = accounts.load(home), read_tables()
    named = frozenset(users)
    operators = {home.stat().st_uid, *(person.uid for person in tables.people if person.name in named)}
    if table is None:
        return Who(frozenset(operators), _gateway_to_be(home), {}, tables)
    agents = {uid: str(name) for name, uid in table.agents.items() if uid != table.gateway}
    return Who(frozenset(operators), table.gateway, agents, tables)


def _gateway_to_be(home: Path) -> int:
    try:
        return accounts.range_here(home).gateway
    except BasculeError:
        return os.geteuid()  # without accounts to give out, it will be this one


def governing(home: Path, who: Who) -> Iterator[Holding]:
    """Yield who could change the policy, the table of accounts, each prompt, and each filter of system calls.

    Args:
        home: absolute path, links resolved.
        who: from :func:`who_is_who`.

    Raises:
        Unavailable: ``path_closed``: this account may not look.
        BasculeError: the policy names filters and cannot be read.
    """
    config = site_of(home).config
    for name in POLICY_FILES:
        yield hold(way_to(f"{config}/{name}"), "policy", who)
    yield hold(way_to(f"{home}/{accounts.TABLE}"), "accounts", who)
    yield hold(way_to(f"{config}/prompts"), "prompt", who)
    for path in files_below(f"{config}/prompts"):
        yield hold(way_to(path), "prompt", who)
    for path in named_profiles(home):
        yield hold(way_to(path), "seccomp", who)


def belongings(home: Path, agents: Iterable[AgentId], who: Who) -> Iterator[Holding]:
    """Yield who could change each agent's directory itself and the operator's tools in it.

    Raises:
        Unavailable: ``path_closed``, ``tools_too_many``.
    """
    for agent in agents:
        own = f"{home}/agents/{agent}"
        yield hold(way_to(own), "agent", who)
        yield hold(way_to(f"{own}/tools"), "tool", who)
        for path in files_below(f"{own}/tools"):
            yield hold(way_to(path), "tool", who)


def refuse_exposed(home: Path) -> None:
    """Refuse a home whose policy or prompts somebody could change who must not.

    Args:
        home: absolute path, links resolved.

    Raises:
        Tampered: ``policy_exposed``.
        BasculeError: it cannot be told.
    """
    who = who_is_who(home)
    for holding in governing(home, who):
        if holding.model is Model.EXPOSED:
            raise exposed(holding, who)


def exposed(holding: Holding, who: Who) -> Tampered:
    """Return the refusal of one file."""
    culprit = next(writer for writer in holding.writers if who.model(writer.uid) is Model.EXPOSED)
    return Tampered(
        "policy_exposed",
        f"{holding.path} could be changed by {who.called(culprit.uid)}, who {culprit.how}",
        "take that right away; see: bascule config verify",
    )


class WriterRow(TypedDict):
    """Somebody who could change a file, and through what."""

    who: str
    how: str


class HoldingRow(TypedDict):
    """One file of the report; ``owner`` and ``mode`` are empty for one that is not there."""

    id: str
    what: str
    model: str
    owner: str
    mode: str
    writers: list[WriterRow]


def row(holding: Holding, who: Who) -> HoldingRow:
    """Return a file for people and scripts; where everybody could change it, nobody else is named."""
    there = holding.mode >= 0
    everybody = any(writer.uid == EVERYBODY for writer in holding.writers)
    writers = [writer for writer in holding.writers if writer.uid == EVERYBODY or not everybody]
    return HoldingRow(
        id=holding.path,
        what=holding.what,
        model=str(holding.model) if there else f"missing, {holding.model}",
        owner=holding.owner if there else "",
        mode=f"{holding.mode:04o}" if there else "",
        writers=[WriterRow(who=who.called(writer.uid), how=writer.how) for writer in writers],
    )
