"""What policy puts into an agent's boxes besides its own directory: ``sandbox.docker.binds``, whatever the backend.

Stops: a box being lent the system, a home, keys, gateway state or another agent's directory; two mounts in one place;
and two agents having a directory in common, one of them writing, that no row of ``peers`` names: a file is a message.
Judged by name; the host's links, sockets and absences are looked at where the policy is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

from bascule.core.confinement import Mount
from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.ids import AgentId
from bascule.core.paths import is_within
from bascule.core.policy import AgentPolicy, PeerRow
from bascule.policy.binds import BindProblem, BindRules, lent, parse_bind
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.places import Places

Lines = Sequence[tuple[Path, Sequence[str]]]
"""The ``binds`` that count for an agent: where each list stands, and its lines."""

_REMEDIES = {
    "malformed": "write it like /srv/notes:/notes:ro",
    "non_absolute": "write it like /srv/notes:/notes:ro",
    "reserved_target": "choose another container path, such as /notes",
    "option": "end it with :ro or :rw",
    "read_only": "end it with :ro",
}
"""What helps, by the kind of the problem; for the rest nothing but another source does."""

_MOST = 24
"""Binds of one agent; a box has room for more mounts, but the warden's messages not."""


@dataclass(frozen=True, slots=True)
class _Line:
    where: str
    written: str
    mount: Mount


def agent_binds(
    agent: str, lines: Lines, document: Document, places: Places
) -> tuple[tuple[Mount, ...], list[Finding]]:
    """Return an agent's binds, and what is odd about them.

    Args:
        agent: whose.
        lines: from the defaults and its own section.
        document: the file, for places in messages.
        places: the home and its surroundings.

    Raises:
        Malformed: ``policy_schema``, a line that may not be, or two that stand in each other's way.
    """
    homes = (places.user_home,) if places.user_home else ()
    private = (places.home, *places.protected)
    rules = BindRules(homes, places.links, private=private, lendable=f"{places.home}/shared")
    kept: list[_Line] = []
    findings: list[Finding] = []
    for path, specs in lines:
        for index, spec in enumerate(specs):
            where = f"{document.where((*path, index))}: {dotted((*path, index))}"
            found = lent(spec, rules)
            if isinstance(found, BindProblem):
                what = f"{where}: the mount {spec[:120]!r} is refused: {found.reason}"
                raise Malformed("policy_schema", what, _REMEDIES.get(found.kind, "mount something else"))
            line = _Line(where, spec, found)
            if not _is_repeated(line, kept):
                kept.append(line)
                findings += _unsaid(agent, line)
    if len(kept) > _MOST:
        raise Malformed("policy_schema", f"{kept[_MOST].where}: an agent has at most {_MOST} binds", "mount less")
    return tuple(line.mount for line in kept), findings


def _is_repeated(line: _Line, kept: Sequence[_Line]) -> bool:
    """True if the very same mount is there already; refuses one that stands in another's way."""
    for other in kept:
        if other.mount == line.mount:
            return True
        one, two = other.mount, line.mount
        if is_within(one.target, two.target) or is_within(two.target, one.target):
            what = f"{line.where}: {line.written[:120]!r} stands where {other.written[:120]!r} does"
            raise Malformed("policy_schema", what, "give each mount a container path of its own")
        if one.path == two.path:
            what = f"{line.where}: {two.path[:120]} is mounted twice"
            raise Malformed("policy_schema", what, "mount it once")
    return False


def _unsaid(agent: str, line: _Line) -> Iterator[Finding]:
    bind = parse_bind(line.written)
    if bind is not None and not {"ro", "rw"} & set(bind.options.split(",")):
        detail = f"{agent}: {line.written[:120]} does not say ro or rw, so it is read-only"
        yield Finding("sandbox.bind_read_only", Severity.INFO, detail, "end it with :ro, or :rw to have it written")


def shared_binds(agents: Mapping[AgentId, AgentPolicy], rows: Sequence[PeerRow]) -> Iterator[Finding]:
    """Yield what is odd about the directories that agents have in common.

    Raises:
        Malformed: ``bind_without_peers``: two agents have one in common, one of them writes it, and ``peers`` does not
            name them in both directions.
    """
    sends = {(row.sender, row.receiver): row.send for row in rows if row.send != "deny"}
    for one, two in combinations(agents.values(), 2):
        common = _common(one, two)
        if not common:
            continue
        for sender, receiver in permutations((one.id, two.id)):
            said = sends.get((sender, receiver))
            if said is None:
                remedy = (
                    f'add to peers {{ from: "{sender}", to: "{receiver}", send: "allow" }}, or bind it to one alone'
                )
                detail = (
                    f"{one.id} and {two.id} have {common} in common and it is written: that is a channel, and peers"
                )
                raise Malformed("bind_without_peers", f"{detail} has no row from {sender} to {receiver}", remedy)
            if said == "ask":
                detail = f"peers asks before {sender} writes to {receiver}; nobody is asked about what lies in {common}"
                yield Finding("peers.bind_unasked", Severity.WARN, detail, "bind it to one of them alone")


def _common(one: AgentPolicy, two: AgentPolicy) -> str:
    """Return the first directory both are lent, one of them to write; empty if there is none."""
    for mine in one.layout.binds:
        for theirs in two.layout.binds:
            if not (mine.writable or theirs.writable):
                continue
            if is_within(mine.path, theirs.path):
                return mine.path
            if is_within(theirs.path, mine.path):
                return theirs.path
    return ""
