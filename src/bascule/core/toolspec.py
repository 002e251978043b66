"""What a tool is: its name, class, parameters and what it needs to be in force.

Stops: an argument nobody described reaching a tool. Parsing refuses unknown, missing, mistyped and oversized
arguments; it never fills in, converts or trims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bascule.core.canonical import Json
from bascule.core.errors import Malformed
from bascule.core.facts import Enforcement


class ActionClass(StrEnum):
    """What kind of effect a tool has; sets durability, default permission and reversibility. Mildest first."""

    READ = "read"
    MEMORY = "memory"
    COMPUTE = "compute"
    WRITE = "write"
    PEER = "peer"
    WEB = "web"
    EXTERNAL = "external"
    SCHEDULE = "schedule"
    ADMIN = "admin"


DURABLE = frozenset(
    {
        ActionClass.COMPUTE,
        ActionClass.WRITE,
        ActionClass.PEER,
        ActionClass.WEB,
        ActionClass.EXTERNAL,
        ActionClass.SCHEDULE,
        ActionClass.ADMIN,
    }
)
"""Classes whose ``started`` record is on disk before the effect: they write, execute or leave the machine."""


class ParamKind(StrEnum):
    """The JSON type of a parameter; ``path`` is a string that names a file."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    PATH = "path"


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: its JSON type and limits (characters for text, value range for integers).

    ``aliases`` are other names models use for it; naming it twice is refused.
    """

    name: str
    kind: ParamKind
    description: str
    required: bool = True
    max_length: int = 4096
    minimum: int = 0
    maximum: int = 1 << 31
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def check(self, value: Json) -> Json:
        """Return ``value`` if it fits.

        Raises:
            Malformed: wrong type, too long, out of range, not one of the choices, a NUL, or an empty path.
        """
        if self.kind is ParamKind.BOOLEAN:
            if not isinstance(value, bool):
                raise self._refuse("must be true or false")
            return value
        if self.kind is ParamKind.INTEGER:
            if isinstance(value, bool) or not isinstance(value, int):
                raise self._refuse("must be an integer")
            if not self.minimum <= value <= self.maximum:
                raise self._refuse(f"must be from {self.minimum} to {self.maximum}")
            return value
        if not isinstance(value, str):
            raise self._refuse("must be a string")
        if len(value) > self.max_length:
            raise self._refuse(f"must be at most {self.max_length} characters")
        if self.choices and value not in self.choices:
            raise self._refuse(f"must be one of {', '.join(self.choices)}")
        if self.kind is ParamKind.PATH and (not value or "\0" in value):
            raise self._refuse("must be a non-empty path without NUL")
        return value

    def _refuse(self, problem: str) -> Malformed:
        return Malformed("argument_invalid", f"argument {self.name!r} {problem}")


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it and as the gate parses it.

    ``needs`` names the enforcements without which its calls are denied ``not_in_force``. A tool with ``open_args`` is
    known by name only: policy may speak of it, its arguments are recorded unread, and it always needs something that
    is not in force.
    """

    name: str
    action: ActionClass
    description: str
    params: tuple[Param, ...] = ()
    needs: frozenset[Enforcement] = frozenset()
    open_args: bool = False

    def parse(self, untrusted_args: Mapping[str, Json]) -> dict[str, Json]:
        """Return the arguments, each checked, none added.

        Raises:
            Malformed: an unknown or missing argument, or one its parameter refuses.
        """
        if self.open_args:
            return {}
        known = {name: param for param in self.params for name in (param.name, *param.aliases)}
        parsed: dict[str, Json] = {}
        for name, value in untrusted_args.items():
            if name not in known:
                raise Malformed("argument_unknown", f"{self.name} has no argument {name[:60]!r}", self._usage())
            param = known[name]
            if param.name in parsed:
                raise Malformed("argument_twice", f"{self.name} got {param.name!r} under two names", self._usage())
            parsed[param.name] = param.check(value)
        del untrusted_args
        for param in self.params:
            if param.required and param.name not in parsed:
                raise Malformed("argument_missing", f"{self.name} needs the argument {param.name!r}", self._usage())
        return parsed

    def _usage(self) -> str:
        names = ", ".join(param.name if param.required else f"[{param.name}]" for param in self.params)
        return f"its arguments are: {names or 'none'}"

    def json_schema(self) -> dict[str, object]:
        """The parameters as a JSON schema object, for a model's tool list."""
        properties: dict[str, object] = {}
        for param in self.params:
            kind = "string" if param.kind is ParamKind.PATH else param.kind.value
            entry: dict[str, object] = {"type": kind, "description": param.description}
            if kind == "string":
                entry["maxLength"] = param.max_length
            if kind == "integer":
                entry |= {"minimum": param.minimum, "maximum": param.maximum}
            if param.choices:
                entry["enum"] = list(param.choices)
            properties[param.name] = entry
        return {
            "type": "object",
            "properties": properties,
            "required": [param.name for param in self.params if param.required],
            "additionalProperties": False,
        }
