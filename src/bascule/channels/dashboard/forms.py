"""What a browser sent in a form: names and values, parsed strictly and by the standard library alone.

Stops: two parsers reading one body differently, a field given twice where one is meant, a body without end. Does not
check who sent it: that is done before a body is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

from bascule.core.errors import Malformed

C = TypeVar("C", bound=str)

MAX_BODY = 64 << 10
"""Bytes of a form; a hundred ticked questions with their digests take a tenth of it."""

MAX_FIELDS = 256
"""Fields of a form; a page shows a hundred questions."""

FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """Fields in the order they were sent."""

    fields: tuple[tuple[str, str], ...]

    def one(self, name: str, *, longest: int = 1000) -> str:
        """Return the field's value, empty if it is not there.

        Raises:
            Malformed: ``form_field``: it stands twice, or holds more than ``longest`` characters.
        """
        found = self.every(name)
        if len(found) > 1:
            raise Malformed("form_field", f"the field {name} stands twice")
        if found and len(found[0]) > longest:
            raise Malformed("form_field", f"the field {name} holds more than {longest} characters")
        return found[0] if found else ""

    def every(self, name: str) -> tuple[str, ...]:
        """Return all values of a field."""
        return tuple(value for field, value in self.fields if field == name)

    def count(self, name: str, most: int) -> int | None:
        """Return a field's whole number from 1 to ``most``; None if it is empty.

        Raises:
            Malformed: ``form_field``.
        """
        text = self.one(name).strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
            raise Malformed("form_field", f"the field {name} must be a number from 1 to {most}")
        return int(text)

    def choice(self, name: str, choices: Sequence[C]) -> C:
        """Return a field that must be one of ``choices``.

        Raises:
            Malformed: ``form_field``.
        """
        value = self.one(name)
        for choice in choices:
            if choice == value:
                return choice
        raise Malformed("form_field", f"the field {name} must be one of {', '.join(choices)}")


def parse_form(media_type: str, untrusted_body: bytes) -> Form:
    """Return the fields of a body.

    Args:
        media_type: the request's ``Content-Type``.
        untrusted_body: at most :data:`MAX_BODY` bytes are taken.

    Raises:
        Malformed: ``form_type``, ``form_size``, or ``form_broken`` (not form-encoded UTF-8, or too many fields).
    """
    if media_type.partition(";")[0].strip().lower() != FORM_TYPE:
        raise Malformed("form_type", f"a form must come as {FORM_TYPE}")
    if len(untrusted_body) > MAX_BODY:
        raise Malformed("form_size", f"a form holds at most {MAX_BODY >> 10} KiB")
    try:
        fields = parse_qsl(
            untrusted_body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(untrusted_body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise Malformed("form_broken", "the form cannot be read") from None
    del untrusted_body
    return Form(tuple(fields))
