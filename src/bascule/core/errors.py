"""The four ways Bascule says no by exception.

Stops: a caller mistaking a refusal for a result. A denial by policy is *not* an exception: it is a
:class:`~bascule.core.verdict.Decision`; the gate raises :class:`NotPermitted` once, where an effect was asked for
without a permit.
"""

from __future__ import annotations


class BasculeError(Exception):
    """One line for a person: what happened and where, and what to do about it.

    Attributes:
        code: stable snake_case name, documented in ``docs/codes.md``.
        message: what happened, where; one line.
        remedy: what the reader can do; one line, may be empty.
    """

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class Malformed(BasculeError):  # noqa: N818 -- reads as the refusal it is: raise Malformed(...)
    """Something from outside does not parse; nothing of it was used."""


class NotPermitted(BasculeError):  # noqa: N818 -- reads as the refusal it is: raise NotPermitted(...)
    """An effect was asked for without the right to it."""


class Unavailable(BasculeError):  # noqa: N818 -- reads as the refusal it is: raise Unavailable(...)
    """A part that is needed is missing, down, full or too slow; nothing was half-done."""


class Tampered(BasculeError):  # noqa: N818 -- reads as the refusal it is: raise Tampered(...)
    """Something that must not change has changed."""
