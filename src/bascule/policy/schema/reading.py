"""From text to a checked configuration, or one line that says what is wrong and where.

Stops: an error without its place, a misspelt key without the right spelling, and a secret in a file that every account
on the machine may read. Does not stop a secret that looks like an ordinary word under a key of an ordinary name.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bascule.core.errors import Malformed
from bascule.policy.json5 import Document, Path, Value, dotted, read
from bascule.policy.schema.base import plain_words
from bascule.policy.schema.root import Config

_SECRET_KEY = re.compile(r"(?i)(?:api_?key|token|password|secret|private_?key|passphrase)$")
_SECRET_VALUE = re.compile(
    r"sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}"
    r"|AIza[0-9A-Za-z_-]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_CHOICE = re.compile(r"'([^']*)'")


def read_config(untrusted_text: bytes | str, name: str) -> tuple[Config, Document]:
    """Parse and check ``bascule.json5``.

    Args:
        untrusted_text: the file's content.
        name: what to call the file in messages.

    Raises:
        Malformed: ``policy_syntax``, ``policy_schema`` or ``policy_secret``; one line with file, line, column and key.
    """
    document = read(untrusted_text, name)
    del untrusted_text
    _refuse_secrets(document)
    try:
        return Config.model_validate(document.value), document
    except ValidationError as error:
        raise _malformed(error.errors(include_url=False), document) from None


def _refuse_secrets(document: Document) -> None:
    for path, value in leaves(document.value):
        if not isinstance(value, str) or not value or _REFERENCE.fullmatch(value):
            continue
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        if _SECRET_KEY.search(key) or _SECRET_VALUE.search(value):
            raise Malformed(
                "policy_secret",
                f"{document.where(path)}: {dotted(path)} holds a secret, and a policy file is no place for one",
                "put it in the gateway's environment and write ${NAME} or keyEnv here",
            )


def leaves(value: Value, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    """Yield every value that is neither object nor array, with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def _malformed(errors: list[ErrorDetails], document: Document) -> Malformed:
    located = [(_path(error, document), error) for error in errors]
    paths = {path for path, _ in located}
    # Where a key may hold text or an object and holds an object, the mistake within it is the one to tell.
    placed = [
        (path, error)
        for path, error in located
        if error["type"] != "string_type" or not any(path == other[:-1] for other in paths)
    ]
    placed.sort(key=lambda pair: document.spans[_known(pair[0], document)])
    path, first = placed[0]
    more = f"; and {len(placed) - 1} more" if len(placed) > 1 else ""
    unknown = first["type"] == "extra_forbidden"
    where = document.where(path, key=unknown or first["type"] == "value_error")
    problem, remedy = _problem(first, path)
    return Malformed("policy_schema", f"{where}: {dotted(path) or 'the file'}: {problem}{more}", remedy)


def _path(error: ErrorDetails, document: Document) -> Path:
    """Return the path of an error in the file; names of union members and ``[key]`` marks fall out."""
    path: Path = ()
    for part in error["loc"]:
        if (*path, part) in document.spans:
            path = (*path, part)
    return (*path, error["loc"][-1]) if error["type"] == "missing" else path


def _known(path: Path, document: Document) -> Path:
    while path not in document.spans:
        path = path[:-1]
    return path


def _problem(error: ErrorDetails, path: Path) -> tuple[str, str]:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return "there is no such key", _nearest(str(path[-1]), sorted(_fields_at(path[:-1])))
    if kind == "missing":
        return "this key is needed", ""
    if kind == "value_error":
        return str(context["error"]), ""
    if kind == "literal_error":
        choices = _CHOICE.findall(str(context.get("expected", "")))
        return f"{str(error['input'])[:80]!r} is not one of {', '.join(choices)}"[:300], _meant(
            str(error["input"]), choices
        )
    return plain_words(error["msg"]), ""


def _nearest(word: str, choices: list[str]) -> str:
    return _meant(word, choices) or (f"known keys: {', '.join(choices)}" if choices else "")


def _meant(word: str, choices: list[str]) -> str:
    found = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    folded = [choice for choice in choices if choice.lower() == word.lower()]
    return f"did you mean {(folded or found)[0]}?" if folded or found else ""


def _fields_at(path: Path) -> set[str]:
    """Return the keys that may stand at a path."""
    kinds: list[object] = [Config]
    for part in path:
        kinds = [inner for kind in kinds for inner in _step(kind, part)]
    return {
        info.alias or name
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for name, info in kind.model_fields.items()
    }


def _step(kind: object, part: str | int) -> list[object]:
    """Return the types that may stand below ``part`` of a value of type ``kind``."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            if part == (info.alias or name):
                return _members(info.annotation)
        return []
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is dict and isinstance(part, str):
        return _members(inner[1])
    if typing.get_origin(kind) is tuple and isinstance(part, int):
        return _members(inner[0])
    return []


def _members(annotation: object) -> list[object]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin in (None, dict, tuple):
        return [annotation]
    return [member for item in typing.get_args(annotation) for member in _members(item)]
