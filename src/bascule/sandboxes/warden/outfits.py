"""An agent's outfit in the warden's language.

Stops: a gateway that was taken over telling a program's loader what to load, or putting an empty place over something
of a box's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.canonical import Json
from bascule.core.errors import Malformed
from bascule.core.outfit import Outfit, variable_problem
from bascule.core.paths import BOX_ROOT, OCCUPIED, is_within
from bascule.sandboxes.warden import values

MAIN_SCRATCH = "/tmp"  # noqa: S108 -- the box's own
_OUR_OWN = (MAIN_SCRATCH, "/var/tmp")  # noqa: S108 -- the box's own
_MOST = 32


def outfit(value: Json) -> Outfit:
    """Return an outfit.

    Raises:
        Malformed: it is none, or names what may not be.
    """
    if not isinstance(value, Mapping) or value.keys() != {"environment", "scratches"}:
        raise Malformed("warden_value", "an outfit has exactly the fields environment, scratches")
    variables, places = value["environment"], value["scratches"]
    if not isinstance(variables, Mapping) or not isinstance(places, Mapping) or len(variables) + len(places) > _MOST:
        raise Malformed("warden_value", f"an outfit has at most {_MOST} variables and places, by name")
    environment = tuple((name, _variable(name, said)) for name, said in variables.items())
    return Outfit(environment, tuple((_place(path), values.integer(places, path, 1)) for path in places))


def _variable(name: str, value: Json) -> str:
    if not isinstance(value, str) or variable_problem(name, value):
        raise Malformed("warden_value", "a variable may not be given to a program")
    return value


def _place(path: str) -> str:
    if path in _OUR_OWN:
        return path
    plain = values.path(path, "a scratch place")
    if any(is_within(plain, place) or is_within(place, plain) for place in (*OCCUPIED, BOX_ROOT)):
        raise Malformed("warden_value", f"{path[:200]} is a place of the box's own")
    return plain


def outfit_json(given: Outfit) -> dict[str, Json]:
    """Return an outfit as :func:`outfit` reads it."""
    return {"environment": dict(given.environment), "scratches": dict(given.scratches)}


def main_scratch(given: Outfit, most: int, memory: int) -> int:
    """Return the bytes of ``/tmp``: ``most`` unless policy says, and never more than memory."""
    return min(dict(given.scratches).get(MAIN_SCRATCH, most), memory)


def further_scratches(given: Outfit, memory: int) -> dict[str, int]:
    """Return the other places with their bytes."""
    return {path: min(size, memory) for path, size in given.scratches if path != MAIN_SCRATCH}
