"""Canonical JSON (RFC 8785) and digests over it.

Stops: two spellings of one call having two digests, so that what is approved is what runs. Floating point numbers are
refused, for no tool argument needs one and their text form is where canonical encoders disagree. Does not stop: two
calls that differ in bytes but mean the same (``./a`` and ``a``); those simply need two approvals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import TypeAlias

from bascule.core.errors import Malformed

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"

MAX_SAFE_INTEGER = 2**53 - 1
"""Largest integer every JSON reader keeps exactly (RFC 7493 section 2.2)."""

MAX_DEPTH = 32
"""Nesting accepted in tool arguments; deeper input is refused, so no recursion limit is ever met."""


def check_value(value: object, depth: int = 0) -> Json:
    """Return ``value`` unchanged if it can be written canonically.

    Args:
        value: anything; dictionaries must have string keys.
        depth: nesting so far.

    Raises:
        Malformed: a float, an integer beyond ±(2^53-1), a lone surrogate, a foreign type, or nesting beyond 32.
    """
    if depth > MAX_DEPTH:
        raise _too_deep()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise Malformed("json_number", "an integer beyond ±(2^53-1) cannot be kept exactly")
        return value
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise _surrogate() from None
        return value
    if isinstance(value, list | tuple):
        for item in value:
            check_value(item, depth + 1)
        return value
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise Malformed("json_key", "an object key is not a string")
            check_value(key, depth + 1)
            check_value(item, depth + 1)
        return value
    raise _foreign(value)


def _foreign(value: object) -> Malformed:
    return Malformed("json_number", f"a value of type {type(value).__name__} has no place in arguments")


def _too_deep() -> Malformed:
    return Malformed("json_too_deep", f"JSON nested deeper than {MAX_DEPTH}")


def _surrogate() -> Malformed:
    return Malformed("json_surrogate", "a string holds a lone surrogate, which is not text")


def canonical(value: Json) -> bytes:
    """Return the RFC 8785 bytes of ``value``: keys ordered by UTF-16 code units, no space, UTF-8.

    Raises:
        Malformed: as :func:`check_value`.
    """
    if _is_plain(value, MAX_DEPTH):
        text = _encode_plain(value)
        if text.isascii():
            return text.encode("ascii")
    try:
        return _write(value, 0).encode("utf-8")
    except UnicodeEncodeError:
        raise _surrogate() from None


def _is_plain(value: Json, depth: int) -> bool:
    """True if the standard library's encoder may write it: exact types, string keys, integers and depth in bounds.

    Every call and every record comes through here, so they are written in C where that gives the same bytes: where all
    is ASCII, for among such keys the order of characters is that of UTF-16. Whatever is odd is left to :func:`_write`.
    """
    inner: Iterable[Json]
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                return False
        inner = value.values()
    elif type(value) is list or type(value) is tuple:
        inner = value
    elif type(value) is int:
        return -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER
    else:
        return value is None or type(value) is str or type(value) is bool
    if depth == 0:
        return False
    for item in inner:  # noqa: SIM110 -- a generator takes half as long again, and this runs for every record
        if type(item) is not str and not _is_plain(item, depth - 1):
            return False
    return True


_encode_plain = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def _write(value: Json, depth: int) -> str:
    """Check and write anything in one pass."""
    if isinstance(value, str):
        return _quote(value)
    if value is None or value is True or value is False:
        return _WORDS[value]
    if isinstance(value, int):
        check_value(value, depth)
        return int.__repr__(value)
    if depth > MAX_DEPTH or (depth == MAX_DEPTH and value):
        raise _too_deep()
    below = depth + 1
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_quote(item) if type(item) is str else _write(item, below) for item in value]) + "]"
    if isinstance(value, (dict, Mapping)):
        items = [
            f"{_quote(key)}:{_quote(item) if type(item) is str else _write(item, below)}" for key, item in _items(value)
        ]
        return "{" + ",".join(items) + "}"
    raise _foreign(value)


_quote = encode_basestring
_WORDS: Mapping[bool | None, str] = {None: "null", True: "true", False: "false"}


def _items(value: Mapping[str, Json]) -> list[tuple[str, Json]]:
    try:
        if all(map(str.isascii, value)):
            return sorted(value.items())
        return sorted(value.items(), key=lambda item: str.encode(item[0], "utf-16-be"))
    except TypeError:
        raise Malformed("json_key", "an object key is not a string") from None


def digest(value: Json) -> str:
    """Return the lowercase hex SHA-256 of the canonical bytes of ``value``.

    Raises:
        Malformed: as :func:`check_value`.
    """
    return hashlib.sha256(canonical(value)).hexdigest()


def read_arguments(untrusted_text: str) -> dict[str, Json]:
    """Parse a model's tool arguments: one JSON object, nothing repaired.

    Args:
        untrusted_text: what the model wrote, at most one mebibyte.

    Raises:
        Malformed: not JSON, not an object, a duplicate key, or a value :func:`check_value` refuses.
    """
    if len(untrusted_text) > 1 << 20:
        raise Malformed("arguments_too_long", "tool arguments exceed 1 MiB")
    try:
        value = json.loads(
            untrusted_text or "{}",
            object_pairs_hook=_object,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError) as error:
        raise Malformed("arguments_not_json", f"tool arguments are not JSON: {_first_line(error)}") from None
    del untrusted_text
    if not isinstance(value, dict):
        raise Malformed("arguments_not_object", "tool arguments must be one JSON object")
    check_value(value)
    return value


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    seen: dict[str, Json] = {}
    for key, item in pairs:
        if key in seen:
            raise Malformed("json_duplicate_key", f"the key {key[:60]!r} stands twice in one object")
        seen[key] = item
    return seen


def _refuse_number(text: str) -> Json:
    raise Malformed("json_number", f"the number {text[:40]} is not an integer that can be kept exactly")
