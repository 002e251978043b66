"""Frames of the control socket: four bytes of length, big-endian, then one JSON object; and which methods there are.

Stops: a frame that is too long, cut, nested beyond reason, has a key twice, names an unknown method or carries a
parameter nobody described: each is refused before anything is done. Pure: bytes in, values out. Does not stop: a peer
from being slow, nor does it say who may ask; that is the server's (``access.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from bascule.core.errors import BasculeError, Malformed
from bascule.service.shapes import ErrorBody

PROTOCOL = 1
"""Version of these frames; a client refuses another."""

MAX_REQUEST: Final = 8 << 20
"""Bytes of one frame to the server: tool arguments of 1 MiB, each character escaped, and room."""

MAX_ANSWER: Final = 16 << 20
"""Bytes of one frame to the client: a box's output limit of 1 MiB, each byte escaped, and room."""

HEADER: Final = 4
"""Bytes of the length that stands before every frame."""

Wire: TypeAlias = "bool | int | float | str | list[Wire] | dict[str, Wire] | None"
"""What a frame may hold: any JSON value."""


def encode(frame: Mapping[str, object], limit: int) -> bytes:
    """Return the frame's bytes, ASCII JSON behind its length.

    Raises:
        Malformed: ``frame_too_long`` (more than ``limit`` bytes of JSON), ``frame_not_json`` (no JSON value).
    """
    try:
        body = json.dumps(frame, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        raise Malformed("frame_not_json", "a message holds something that is no JSON value") from None
    if len(body) > limit:
        raise Malformed("frame_too_long", f"a message of {len(body)} bytes exceeds the limit of {limit}")
    return len(body).to_bytes(HEADER, "big") + body


class Decoder:
    """Takes bytes as they arrive and gives back whole frames, in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def clean(self) -> bool:
        """True between frames: an end of the stream here cuts nothing."""
        return not self._buffer

    def feed(self, untrusted_bytes: bytes) -> list[dict[str, Wire]]:
        """Return the frames that are complete now.

        Raises:
            Malformed: a frame over the limit (its body is never waited for), or one that is no plain JSON object.
        """
        self._buffer += untrusted_bytes
        del untrusted_bytes
        frames: list[dict[str, Wire]] = []
        while len(self._buffer) >= HEADER:
            length = int.from_bytes(self._buffer[:HEADER], "big")
            if length > self._limit:
                raise Malformed("frame_too_long", f"a message of {length} bytes exceeds the limit of {self._limit}")
            if len(self._buffer) < HEADER + length:
                break
            body = bytes(self._buffer[HEADER : HEADER + length])
            del self._buffer[: HEADER + length]
            frames.append(_decode(body))
        return frames


def _decode(untrusted_body: bytes) -> dict[str, Wire]:
    try:
        value = json.loads(untrusted_body.decode("ascii"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Malformed("frame_not_json", "a message is not JSON") from None
    del untrusted_body
    if not isinstance(value, dict):
        raise Malformed("frame_not_object", "a message is not a JSON object")
    return value


def _once(pairs: list[tuple[str, Wire]]) -> dict[str, Wire]:
    seen = dict(pairs)
    if len(seen) != len(pairs):
        raise ValueError
    return seen


def _no_constant(_text: str) -> Wire:
    raise ValueError


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter of a method: its JSON type, whether it may be null, and its longest text in characters."""

    name: str
    kind: type[bool] | type[int] | type[float] | type[str]
    nullable: bool = False
    longest: int = 512

    def check(self, value: Wire) -> Wire:
        """Return ``value`` if it fits.

        Raises:
            Malformed: ``request_invalid``.
        """
        if value is None and self.nullable:
            return None
        numeric = isinstance(value, int) and not isinstance(value, bool)
        fits = {
            bool: isinstance(value, bool),
            int: numeric,
            float: numeric or isinstance(value, float),
            str: isinstance(value, str) and len(value) <= self.longest,
        }[self.kind]
        if not fits:
            raise Malformed("request_invalid", f"the parameter {self.name!r} has the wrong type or is too long")
        return value


_AGENT = Field("agent", str)
_ANY_AGENT = Field("agent", str, nullable=True)
_REF = Field("ref", str)
_SESSION = Field("session", str)
_MAYBE_SESSION = Field("session", str, nullable=True)

METHODS: Final[Mapping[str, tuple[Field, ...]]] = MappingProxyType(
    {
        "status": (),
        "call": (
            _AGENT,
            Field("tool", str),
            Field("args_text", str, longest=(1 << 20) + 1),
            _MAYBE_SESSION,
            Field("dry_run", bool),
            Field("wait", float),
            Field("as_operator", bool),
        ),
        "approvals_list": (Field("everything", bool),),
        "approvals_show": (_REF,),
        "approvals_approve": (_REF,),
        "approvals_deny": (_REF,),
        "approvals_grant": (
            _REF,
            Field("extent", str),
            Field("this_session", bool),
            Field("minutes", int, nullable=True),
            Field("uses", int, nullable=True),
            Field("args", str, nullable=True, longest=16_384),
            Field("under", str, nullable=True, longest=4096),
        ),
        "approvals_decide": (Field("answer", str), Field("items", str, longest=1 << 20)),
        "approvals_watch": (),
        "grants_list": (Field("everything", bool),),
        "grants_revoke": (Field("grant", str),),
        "tokens_create": (
            Field("name", str),
            Field("scopes", str),
            Field("agents", str, longest=4096),
            _MAYBE_SESSION,
            Field("trusted", bool),
            Field("days", int),
            Field("person", str, nullable=True),
        ),
        "tokens_list": (),
        "tokens_revoke": (Field("token", str),),
        "pairing_list": (),
        "pairing_approve": (Field("code", str),),
        "dashboard_link": (),
        "agents_list": (),
        "agents_show": (_AGENT,),
        "sessions_list": (_ANY_AGENT,),
        "sessions_show": (_SESSION,),
        "sessions_reset": (_SESSION,),
        "contain": (_ANY_AGENT, Field("reason", str, longest=200)),
        "release": (_AGENT,),
        "ledger_tail": (Field("count", int), _ANY_AGENT),
        "ledger_show": (Field("seq", int),),
        "ledger_after": (Field("seq", int), Field("count", int), _ANY_AGENT),
        "ledger_lineage": (Field("seq", int),),
        "sandbox_explain": (_AGENT,),
        "sandbox_probe": (_AGENT, _MAYBE_SESSION),
        "sandbox_list": (),
        "sandbox_stop": (_ANY_AGENT, _MAYBE_SESSION),
        "policy_files": (),
        "send": (_AGENT, Field("text", str, longest=1 << 20), _MAYBE_SESSION),
        "shutdown": (),
    }
)
"""Every method and its parameters; each must be given, so that no default ever stands in for the asker's word."""


@dataclass(frozen=True, slots=True)
class Request:
    """A method asked for, its parameters checked against :data:`METHODS`."""

    id: int
    method: str
    params: Mapping[str, Wire]


@dataclass(frozen=True, slots=True)
class Cancel:
    """The asker no longer wants the answer to request ``id``."""

    id: int


def request_id(untrusted_frame: Mapping[str, Wire]) -> int:
    """Return the frame's id, or -1 if it has none that could be answered to."""
    value = untrusted_frame.get("id")
    del untrusted_frame
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else -1


def parse_request(untrusted_frame: Mapping[str, Wire]) -> Request | Cancel:
    """Return what the client wants.

    Raises:
        Malformed: ``request_invalid`` or ``method_unknown``.
    """
    number = request_id(untrusted_frame)
    if number < 0:
        raise Malformed("request_invalid", "a request needs a whole number as its id")
    if untrusted_frame.keys() == {"id", "cancel"}:
        return Cancel(number)
    method, params = untrusted_frame.get("method"), untrusted_frame.get("params")
    if untrusted_frame.keys() != {"id", "method", "params"} or not isinstance(params, dict):
        raise Malformed("request_invalid", "a request has an id, a method and params, and nothing else")
    del untrusted_frame
    if not isinstance(method, str) or method not in METHODS:
        raise Malformed("method_unknown", "this gateway has no such method", "use a client of the gateway's version")
    fields = METHODS[method]
    if params.keys() != {field.name for field in fields}:
        names = ", ".join(field.name for field in fields)
        raise Malformed("request_invalid", f"{method} takes exactly these parameters: {names or 'none'}")
    return Request(number, method, MappingProxyType({field.name: field.check(params[field.name]) for field in fields}))


def error_body(error: BasculeError) -> ErrorBody:
    """Return an error as JSON: one line each, at most 2000 characters."""
    return {"code": error.code, "message": _one_line(error.message), "remedy": _one_line(error.remedy)}


def _one_line(text: str) -> str:
    return " ".join(text.split())[:2000]


KINDS: Final[Mapping[str, type[BasculeError]]] = MappingProxyType(
    {kind.__name__: kind for kind in BasculeError.__subclasses__()}
)
"""The four exceptions by name, so that an error is the same on both sides."""


def error_frame(number: int, error: BasculeError) -> dict[str, object]:
    """Return the frame that answers request ``number`` with an error."""
    return {"id": number, "error": error_body(error), "kind": type(error).__name__}


def read_error(untrusted_frame: Mapping[str, Wire]) -> BasculeError:
    """Return the exception an error frame stands for; one that makes no sense becomes ``answer_invalid``."""
    body, name = untrusted_frame.get("error"), untrusted_frame.get("kind")
    del untrusted_frame
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(body, dict):
        return Malformed("answer_invalid", "the gateway sent an error that cannot be read")
    code, message, remedy = body.get("code"), body.get("message"), body.get("remedy")
    if not (isinstance(code, str) and isinstance(message, str) and isinstance(remedy, str)):
        return Malformed("answer_invalid", "the gateway sent an error that cannot be read")
    return kind(code, message, remedy)
