"""The policies and prompts that ``bascule init`` writes, read from the installed package.

Stops nothing by itself: a template is a beginning, and is read like any other policy afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from bascule.core.errors import Malformed

TEAMS = ("bruba", "solo")
"""Names of the templates; ``solo`` is what ``init`` uses when no team is named."""


@dataclass(frozen=True, slots=True)
class Template:
    """A home to begin with: text by path relative to it, such as ``prompts/main/AGENTS.md``."""

    name: str
    files: Mapping[str, str]


def team_template(name: str) -> Template:
    """Return a template by name.

    Raises:
        Malformed: ``template_unknown``.
    """
    if name not in TEAMS:
        raise Malformed("template_unknown", f"there is no team {name[:60]!r}", f"known: {', '.join(TEAMS)}")
    root = resources.files("bascule.policy") / "templates" / name
    return Template(name, dict(_texts(root, "")))


def _texts(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if item.is_dir():
            yield from _texts(item, f"{prefix}{item.name}/")
        else:
            yield prefix + item.name, item.read_text(encoding="utf-8")
