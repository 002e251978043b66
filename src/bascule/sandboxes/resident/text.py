"""JSON, read and written by the extension module that ``json`` itself uses, without the package around it.

Stops nothing by itself. Importing the package costs a container some ten milliseconds of its start and a megabyte.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from json.encoder import encode_basestring_ascii
    from typing import Any

    _scan: Callable[[str, int], tuple[Any, int]]
else:
    from _json import encode_basestring_ascii, make_scanner

    class _Rules:
        """As ``json.JSONDecoder`` has them: no control characters in texts, nothing replaced."""

        strict = True
        object_hook = object_pairs_hook = None
        parse_float, parse_int = float, int
        parse_constant = float

    _scan = make_scanner(_Rules)


class TextError(ValueError):
    """Bytes that are no JSON."""


def read(untrusted_message: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        TextError: it is none, or something follows it.
    """
    try:
        text = untrusted_message.decode("utf-8").strip(" \t\r\n")
        value, end = _scan(text, 0)
    except (ValueError, StopIteration, RecursionError):
        raise TextError("not JSON") from None
    if end != len(text):
        raise TextError("not one value")
    return value


def write(body: Mapping[str, str | int]) -> bytes:
    """Return an object of texts, whole numbers and truth values as JSON."""
    rows = (f"{encode_basestring_ascii(name)}:{_value(value)}" for name, value in body.items())
    return ("{" + ",".join(rows) + "}").encode("ascii")


def _value(value: str | int) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
