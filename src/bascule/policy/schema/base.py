"""What every section of the policy file has in common.

Stops: an unknown key, a value of the wrong type, and a number written as text. Nothing is converted or filled in: an
absent key stays ``None``, and what that means is decided in one place, when the policy is compiled.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Text: TypeAlias = Annotated[str, StringConstraints(max_length=4096)]
Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"\S")]
Names: TypeAlias = tuple[Name, ...]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1 << 40)]
Number: TypeAlias = Annotated[float, Field(ge=0)]
Opaque: TypeAlias = dict[str, Any]
"""A section that OpenClaw has and Bascule carries along without any effect; reported as inert."""


def plain_words(message: str) -> str:
    """Return a validator's message in the words of the file: arrays and objects, no tuples and dictionaries."""
    for theirs, ours in (("Input should be", "must be"), ("tuple", "array"), ("valid dictionary", "object")):
        message = message.replace(theirs, ours)
    return message.partition(" or instance of")[0].replace("a object", "an object").replace("a valid array", "an array")


class Section(BaseModel):
    """A part of the file: camelCase keys, none unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
        extra="forbid",
        strict=True,
        frozen=True,
        defer_build=True,  # the whole file's validator holds theirs; one more each would cost as much again
    )
