"""The agents a policy names, read without compiling it.

Stops: starting a gateway costing as much twice. Whatever is odd about the file beyond its syntax is left for the
gateway to refuse with its place; an agent that is not found here gets no account, so it could not do anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bascule.core.errors import Malformed, Unavailable
from bascule.core.ids import AgentId, parse_agent_id
from bascule.core.paths import normal
from bascule.host.policy_file import read_policy_file
from bascule.host.site import site_of
from bascule.policy.binds import parse_bind
from bascule.policy.callrules import profile_path
from bascule.policy.json5 import read
from bascule.policy.places import CONFIG_NAME


def agent_names(home: Path) -> tuple[AgentId, ...]:
    """Return every agent id in ``bascule.json5`` of a home, in order, without repetition.

    Raises:
        Unavailable: ``policy_missing``, ``policy_unreadable``.
        Tampered: ``policy_file_unsafe``.
        Malformed: ``policy_syntax``.
    """
    found: dict[AgentId, None] = {}
    for name in _names(_policy(home)):
        try:
            found[parse_agent_id(name)] = None
        except Malformed:
            # The gateway's own reader says where and why; here nobody gets an account by a name that is none.
            continue
    return tuple(found)


def lent_directories(home: Path) -> Mapping[str, Mapping[AgentId, bool]]:
    """Return which agents the policy lends each directory of ``shared/``, by its name, and whether to be written.

    The gateway's own reader says which lines may stand; a line it refuses keeps it from starting.

    Raises:
        Unavailable, Tampered, Malformed: as :func:`agent_names`.
    """
    policy = _policy(home)
    found: dict[str, dict[AgentId, bool]] = {}
    shared = f"{os.path.realpath(home)}/shared"
    for name, lines in _lines(policy):
        for line in lines:
            bind = parse_bind(line) if isinstance(line, str) else None
            directory = _lent_directory(bind.host, shared) if bind is not None else ""
            if bind is None or not directory:
                continue
            writes = "rw" in bind.options.split(",") and directory != "repo"
            agents = found.setdefault(directory, {})
            agents[name] = writes or agents.get(name, False)
    return found


def named_profiles(home: Path) -> tuple[str, ...]:
    """Return the absolute path of every filter of system calls that the policy names anywhere; none without a policy.

    Raises:
        Unavailable, Tampered, Malformed: as :func:`agent_names`, but for a policy that is missing.
    """
    directory = os.path.realpath(site_of(home).config)
    try:
        policy = _policy(home)
    except Unavailable as error:
        if error.code == "policy_missing":
            return ()
        raise
    sections = [_below(policy, "agents", "defaults"), *(entry for _, entry in _entries(policy))]
    named = [_below(section, "sandbox", "docker", "seccompProfile") for section in sections]
    paths = [profile_path(said, directory) for said in named if isinstance(said, str)]
    return tuple(dict.fromkeys(path for path in paths if path))


def _lent_directory(source: str, shared: str) -> str:
    """The directory of ``shared/`` that a source is or lies in, empty for none."""
    plain = normal(f"{shared}/{source[7:]}" if source.startswith("shared/") else source)
    return plain[len(shared) + 1 :].partition("/")[0] if plain.startswith(shared + "/") else ""


def _lines(policy: object) -> Iterator[tuple[AgentId, Sequence[object]]]:
    """Every agent with the ``binds`` of the defaults, and again with its own."""
    usual = _binds(_below(policy, "agents", "defaults"))
    for name, entry in _entries(policy):
        try:
            agent = parse_agent_id(name)
        except Malformed:
            continue
        yield agent, usual
        yield agent, _binds(entry)


def _binds(section: object) -> Sequence[object]:
    found = _below(section, "sandbox", "docker", "binds")
    return found if isinstance(found, tuple | list) else ()


def _below(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _policy(home: Path) -> object:
    path = site_of(home).config / CONFIG_NAME
    config = read_policy_file(path)
    if config is None:
        raise Unavailable("policy_missing", f"there is no {path}", "make a home with: bascule init")
    return read(config, CONFIG_NAME).value


def _names(policy: object) -> Iterator[str]:
    for name, _ in _entries(policy):
        yield name


def _entries(policy: object) -> Iterator[tuple[str, object]]:
    agents = policy.get("agents") if isinstance(policy, Mapping) else None
    if not isinstance(agents, Mapping):
        return
    listed = agents.get("list")
    for entry in listed if isinstance(listed, tuple | list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
            yield entry["id"], entry
    entries = agents.get("entries")
    if isinstance(entries, Mapping):
        yield from entries.items()
