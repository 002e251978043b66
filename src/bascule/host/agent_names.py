"""The agents a policy names, read without compiling it.

Stops: starting a gateway costing as much twice. Whatever is odd about the file beyond its syntax is left for the
gateway to refuse with its place; an agent that is not found here gets no account, so it could not do anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bascule.core.errors import Malformed, Unavailable
from bascule.core.ids import AgentId, parse_agent_id
from bascule.host.policy_file import read_policy_file
from bascule.host.site import site_of
from bascule.policy.json5 import read
from bascule.policy.places import CONFIG_NAME


def agent_names(home: Path) -> tuple[AgentId, ...]:
    """Return every agent id in ``bascule.json5`` of a home, in order, without repetition.

    Raises:
        Unavailable: ``policy_missing``, ``policy_unreadable``.
        Tampered: ``policy_file_unsafe``.
        Malformed: ``policy_syntax``.
    """
    path = site_of(home).config / CONFIG_NAME
    config = read_policy_file(path)
    if config is None:
        raise Unavailable("policy_missing", f"there is no {path}", "make a home with: bascule init")
    found: dict[AgentId, None] = {}
    for name in _names(read(config, CONFIG_NAME).value):
        try:
            found[parse_agent_id(name)] = None
        except Malformed:
            # The gateway's own reader says where and why; here nobody gets an account by a name that is none.
            continue
    return tuple(found)


def _names(policy: object) -> Iterator[str]:
    agents = policy.get("agents") if isinstance(policy, Mapping) else None
    if not isinstance(agents, Mapping):
        return
    listed = agents.get("list")
    for entry in listed if isinstance(listed, tuple | list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
            yield entry["id"]
    entries = agents.get("entries")
    if isinstance(entries, Mapping):
        yield from entries
