"""What a token is, how one is asked for, and whom it stands for at this moment. Pure.

Stops: a token that allows more than was said in full (nothing is given by leaving it out), one that lasts for ever, one
whose name passes for a person or another token, and a right outliving the person's own. Does not stop whoever holds the
secret from using it: revoke it.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bascule.core.canonical import Json
from bascule.core.errors import Malformed, NotPermitted
from bascule.core.ids import parse_agent_id, parse_session_key
from bascule.core.policy import Policy
from bascule.service.port import Minting, Principal

SECRET_BYTES = 32
"""256 random bits: out of reach of guessing, so that one plain SHA-256 keeps them as well as a slow hash would."""

ID_BYTES = 8

DAY = 86_400.0
MAX_DAYS = 365

STRAY_SECONDS = 300.0
"""How far the clock may stand before what a row remembers: time services correct by less; more was set back."""

OPERATOR_NAME = "operator"
"""What the record calls a browser that came by a link; no token may be called so."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_ID = re.compile(r"(tok|brw|pky)_[0-9a-f]{16}", re.ASCII)
_SECRET = re.compile(r"(bsc|bsl|bss)_[A-Za-z0-9_-]{43}", re.ASCII)


class Scope(StrEnum):
    """What a token may do; none includes another."""

    READ = "read"
    APPROVE = "approve"
    CHAT = "chat"
    ADMIN = "admin"


ALL_SCOPES = frozenset(Scope)


class Kind(StrEnum):
    """What a secret opens, as its first letters say, so that people and secret scanners know it when they see it."""

    TOKEN = "bsc"  # noqa: S105 -- how every token begins is no secret
    LINK = "bsl"
    BROWSER = "bss"


@dataclass(frozen=True, slots=True)
class Mint:
    """A token that may be made; fields as in :class:`Token`, ``seconds`` is how long it lasts."""

    name: str
    scopes: frozenset[Scope]
    agents: frozenset[str] | None
    session: str | None
    trusted: bool
    person: str | None
    seconds: float

    def body(self) -> dict[str, Json]:
        """What the ledger says of it."""
        return {
            "name": self.name,
            "scopes": sorted(self.scopes),
            "agents": agent_names(self.agents),
            "speaks_in": self.session or "",
            "trusted": self.trusted,
            "person": self.person or "",
            "days": int(self.seconds // DAY),
        }


@dataclass(frozen=True, slots=True)
class Token:
    """One token, without its secret.

    Attributes:
        id: ``tok_`` and 16 hex characters.
        name: what the operator calls it; unique among active ones.
        scopes: what it may do.
        agents: whose things it may see and whom it may speak to; None for every agent.
        session: the one session its ``chat`` speaks in, a bare name or a full key; None for one of its own.
        trusted: its words are the operator's own.
        person: the operator of the policy it speaks for; None for the machine's own.
        created: seconds since the epoch.
        expires: likewise; always later.
        last_used: likewise, to the minute; None if it never was.
        revoked: when it was ended by hand, None if it was not.
        rooted: the machine's own shell made it, and not another token.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    agents: frozenset[str] | None
    session: str | None
    trusted: bool
    person: str | None
    created: float
    expires: float
    last_used: float | None = None
    revoked: float | None = None
    rooted: bool = False

    def state(self, now: float) -> str:
        """``active``, ``expired`` or ``revoked`` at ``now``, seconds since the epoch."""
        if self.revoked is not None:
            return "revoked"
        return "active" if now < self.expires else "expired"


def agent_names(agents: frozenset[str] | None) -> list[str]:
    """Agents as rows and records say them: sorted names, ``*`` for every one."""
    return ["*"] if agents is None else sorted(agents)


def make_secret(kind: Kind, entropy: bytes) -> str:
    """Return the secret of 32 random bytes.

    Raises:
        ValueError: not 32 bytes.
    """
    if len(entropy) != SECRET_BYTES:
        raise ValueError("a secret needs exactly 32 random bytes")
    return f"{kind}_{urlsafe_b64encode(entropy).decode('ascii').rstrip('=')}"


def looks_like(untrusted_secret: str, kind: Kind) -> bool:
    """True if a text has the shape of such a secret; anything else is not even hashed."""
    return untrusted_secret[:3] == kind and _SECRET.fullmatch(untrusted_secret) is not None


def make_id(prefix: str, entropy: bytes) -> str:
    """Return ``tok_``, ``brw_`` or ``pky_`` and 16 hex characters for 8 random bytes.

    Raises:
        ValueError: not 8 bytes, or no such prefix.
    """
    made = f"{prefix}_{entropy.hex()}"
    if not _ID.fullmatch(made):
        raise ValueError("an id is tok_, brw_ or pky_ and exactly 8 random bytes")
    return made


def is_reference(untrusted_text: str) -> bool:
    """True if a text can be the id or the name of a token; what cannot is not looked for."""
    return bool(_ID.fullmatch(untrusted_text) or _NAME.fullmatch(untrusted_text))


def parse_minting(untrusted: Minting, policy: Policy) -> Mint:
    """Read what is asked for.

    Args:
        untrusted: as a surface handed it in.
        policy: whose agents and people there are.

    Raises:
        Malformed: ``token_name``, ``token_scopes``, ``token_days``, ``agent_unknown``, ``person_unknown``, or
            ``session_key``: a session of another agent.
    """
    person = _person(untrusted.person, policy)
    name = _name(untrusted.name, person, policy)
    scopes = _scopes(untrusted.scopes)
    agents = _agents(untrusted.agents, policy)
    session, trusted, days = untrusted.session, untrusted.trusted, untrusted.days
    del untrusted
    if type(days) is not int or not 1 <= days <= MAX_DAYS:
        raise Malformed("token_days", f"a token lasts from 1 to {MAX_DAYS} days")
    if Scope.CHAT not in scopes and (session is not None or trusted):
        raise _refuse_scopes("a session, and being trusted, are for tokens that may chat")
    _refuse_more_than_the_person_has(scopes, trusted=trusted, person=person, policy=policy)
    return Mint(name, scopes, agents, _session(session, agents, policy), trusted, person, days * DAY)


def _person(untrusted_person: str | None, policy: Policy) -> str | None:
    if untrusted_person is not None and untrusted_person not in policy.people:
        raise Malformed("person_unknown", f"policy names no {untrusted_person[:64]!r} in `operators`")
    return untrusted_person


def _name(untrusted_name: str, person: str | None, policy: Policy) -> str:
    if not _NAME.fullmatch(untrusted_name):
        detail = "a token's name is 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit"
        raise Malformed("token_name", detail)
    taken = {known.casefold() for known in policy.people if known != person} | {OPERATOR_NAME}
    if untrusted_name in taken or untrusted_name.startswith(("tok_", "brw_")):
        raise Malformed("token_name", f"{untrusted_name!r} would pass for somebody else in the record")
    return untrusted_name


def _scopes(untrusted_scopes: str) -> frozenset[Scope]:
    words = [word.strip(" ") for word in untrusted_scopes.split(",")]
    if len(words) > len(Scope) or not all(word in ALL_SCOPES for word in words) or len(set(words)) != len(words):
        raise _refuse_scopes("scopes are some of read, approve, chat, admin, each once, separated by commas")
    return frozenset(Scope(word) for word in words)


def _refuse_scopes(detail: str) -> Malformed:
    return Malformed("token_scopes", detail)


def _agents(untrusted_agents: str, policy: Policy) -> frozenset[str] | None:
    if untrusted_agents.strip(" ") == "*":
        return None
    found: set[str] = set()
    for word in untrusted_agents.split(","):
        try:
            agent = parse_agent_id(word.strip(" "))
        except Malformed:
            raise Malformed("agent_unknown", "agents are names separated by commas, or * for every one") from None
        if agent not in policy.agents or agent in found:
            raise Malformed("agent_unknown", f"there is no agent {agent}, or it stands there twice")
        found.add(agent)
    return frozenset(found)


def _session(untrusted_session: str | None, agents: frozenset[str] | None, policy: Policy) -> str | None:
    """A session as every agent of the token could have it; a full key therefore fits one agent only."""
    if untrusted_session is None:
        return None
    keys = {agent: parse_session_key(untrusted_session, agent) for agent in policy.agents if _covers(agents, agent)}
    if len(keys) == 1:
        return next(iter(keys.values()))
    return untrusted_session.strip().lower()


def _covers(agents: frozenset[str] | None, agent: str) -> bool:
    return agents is None or agent in agents


def _refuse_more_than_the_person_has(
    scopes: frozenset[Scope], *, trusted: bool, person: str | None, policy: Policy
) -> None:
    lost = scopes - _allowed(scopes, person, policy)
    if lost:
        raise _refuse_scopes(f"{' and '.join(sorted(lost))} needs a person who approves; {person!r} does not")
    if trusted and not _trusted(person, policy):
        raise _refuse_scopes(f"trusted words need a person who chats; {person!r} does not")


_APPROVERS_ONLY = frozenset({Scope.APPROVE, Scope.ADMIN})
"""What only a person who may approve has: ``admin`` too, for releasing a contained agent is more than one yes."""


def _allowed(scopes: frozenset[Scope], person: str | None, policy: Policy) -> frozenset[Scope]:
    return scopes if person is None or person in policy.operators else scopes - _APPROVERS_ONLY


def _trusted(person: str | None, policy: Policy) -> bool:
    return person is None or (person in policy.people and policy.people[person].chats)


REFUSALS: Mapping[Kind, tuple[str, str]] = {
    Kind.TOKEN: ("token_refused", "make one: bascule tokens create"),
    Kind.LINK: ("link_refused", "a link works once, for a few minutes; make another"),
    Kind.BROWSER: ("session_refused", "sign in again"),
}
"""One answer for every reason there is, so that nobody learns which secrets once existed."""


def refusal(kind: Kind) -> NotPermitted:
    """What is said to a secret that opens nothing."""
    code, remedy = REFUSALS[kind]
    return NotPermitted(code, f"this {_NOUNS[kind]} is unknown, used up or ended", remedy)


_NOUNS: Mapping[Kind, str] = MappingProxyType(
    {Kind.TOKEN: "token", Kind.LINK: "link", Kind.BROWSER: "browser's session"}
)


def stands(now: float, seen: float, until: float) -> bool:
    """True from when something was last ``seen`` until it ends; a clock found well before that was set back: no."""
    return seen - STRAY_SECONDS <= now < until


def principal_of(token: Token, policy: Policy, now: float) -> Principal:
    """Return whom a token stands for at ``now``: what it was given, less what its person no longer has.

    Raises:
        NotPermitted: ``token_refused``: it ended, or its person is no longer in the policy or has none of its rights.
    """
    seen = max(token.created, token.last_used or token.created)
    scopes = _allowed(token.scopes, token.person, policy)
    known = token.person is None or token.person in policy.people
    if token.state(now) != "active" or not stands(now, seen, token.expires) or not known or not scopes:
        raise refusal(Kind.TOKEN)
    trusted = token.trusted and _trusted(token.person, policy)
    names = frozenset(str(scope) for scope in scopes)
    return Principal(token.name, token.id, token.person, names, token.agents, token.session, trusted)


def beyond(mint: Mint, maker: Principal, seconds_left: float) -> str:
    """Say in what a token would exceed whoever makes it, who has ``seconds_left``; empty if in nothing.

    A token speaks in one session alone, so it makes none for another; the operator's own browser has no such bound.
    """
    if not mint.scopes <= maker.scopes:
        return "scopes"
    if maker.agents is not None and (mint.agents is None or not mint.agents <= maker.agents):
        return "agents"
    if maker.token and Scope.CHAT in mint.scopes and mint.session != maker.session:
        return "session"
    if mint.trusted and not maker.trusted:
        return "trust"
    if maker.person is not None and mint.person != maker.person:
        return "person"
    return "days" if mint.seconds > seconds_left else ""
