"""The record of images a home may use: name, id, where each came from.

Stops: an image being replaced under its name: what is recorded is the content's own digest, and that is what runs. The
record lies in the home and belongs to its owner, so the gateway cannot write it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bascule.core.canonical import Json, read_arguments
from bascule.core.errors import Malformed

FILE = "images.json"
"""Its name in the home."""

_ID = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9._/:@-]{0,199}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its id, where it came from, and the packages in it by name, version and SHA-256."""

    id: str
    source: str
    packages: tuple[tuple[str, str, str], ...] = ()


def is_name(text: str) -> bool:
    """True for a name an image may have."""
    return _NAME.fullmatch(text) is not None


def read(untrusted_text: str) -> Mapping[str, Image]:
    """Return the images of a record by name.

    Raises:
        Malformed: it is no record.
    """
    body = read_arguments(untrusted_text)
    del untrusted_text
    found: dict[str, Image] = {}
    for name, value in body.items():
        if not is_name(name) or not isinstance(value, Mapping) or value.keys() != {"id", "source", "packages"}:
            raise Malformed("image_record", "the record of images is malformed", "run: bascule sandbox build")
        identity, source, packages = value["id"], value["source"], value["packages"]
        if not isinstance(identity, str) or not _ID.fullmatch(identity) or not isinstance(packages, list):
            raise Malformed("image_record", f"the record of {name} is malformed", "run: bascule sandbox build")
        found[name] = Image(identity, str(source), tuple(_package(item) for item in packages))
    return found


def _package(item: Json) -> tuple[str, str, str]:
    if not isinstance(item, list) or len(item) != 3 or not all(isinstance(part, str) for part in item):
        raise Malformed("image_record", "a package of an image is malformed", "run: bascule sandbox build")
    return str(item[0]), str(item[1]), str(item[2])


def write(images: Mapping[str, Image]) -> dict[str, Json]:
    """Return a record as JSON; :func:`read` is its inverse."""
    return {
        name: {"id": image.id, "source": image.source, "packages": [list(package) for package in image.packages]}
        for name, image in sorted(images.items())
    }
