"""The shapes of :mod:`bascule.service.shapes` as models that FastAPI checks answers by and documents them with.

Stops: an answer that differs from its documentation, which then is an error of ours instead of a surprise to a client.
Keys that a shape does not have are left out.
"""

from __future__ import annotations

import types
import typing
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict, create_model

from bascule.service.shapes import ErrorBody

_MADE: dict[object, type[BaseModel]] = {}


def documented(shape: Any) -> Any:
    """Return the model of a typed dictionary; of a list or an optional one, a list or optional of models."""
    if typing.is_typeddict(shape):
        if shape not in _MADE:
            hints = typing.get_type_hints(shape, localns={"Json": Any})
            fields: dict[str, Any] = {name: (documented(hint), ...) for name, hint in hints.items()}
            config = ConfigDict(extra="ignore")
            _MADE[shape] = create_model(shape.__name__, __config__=config, __doc__=shape.__doc__, **fields)
        return _MADE[shape]
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if origin is list:
        return types.GenericAlias(list, (documented(arguments[0]),))
    if origin in (types.UnionType, typing.Union):
        return typing.Union[tuple(documented(each) for each in arguments)]  # noqa: UP007 -- made of values
    return shape


def paged(shape: Any) -> Any:
    """Return the model of a page of rows: ``items``, and ``next``, what to ask with for those that follow."""
    if (shape, "page") not in _MADE:
        row = documented(shape)
        fields: dict[str, Any] = {"items": (types.GenericAlias(list, (row,)), ...), "next": (str | None, ...)}
        made = create_model(f"{shape.__name__}Page", __doc__=f"Some of: {shape.__doc__}", **fields)
        _MADE[shape, "page"] = made
    return _MADE[shape, "page"]


class ErrorAnswer(TypedDict):
    """What every refusal looks like."""

    error: ErrorBody


EVENT_STREAM: dict[str, Any] = {
    "itemSchema": {
        "type": "object",
        "properties": {
            "data": {"type": "string"},
            "event": {"type": "string"},
            "id": {"type": "string"},
            "retry": {"type": "integer", "minimum": 0},
        },
    }
}
"""A stream of server-sent events, as OpenAPI 3.2 describes one."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": documented(ErrorAnswer), "description": "refused; nothing was done"},
    "5XX": {"model": documented(ErrorAnswer), "description": "the gateway cannot do it at present"},
}
"""Of every path."""
