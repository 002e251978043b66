"""What a path written in a policy file means on this machine, given a snapshot of its directory links.

Stops: ``/bin/ls`` in the list and ``/usr/bin/ls`` in the box being two programs, and a relative entry meaning whatever
the current directory happens to be. Only directories are resolved: a link that *is* the program stays another program,
as in OpenClaw. Does not look at the disk; the snapshot is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.core.paths import BOX_ROOT, is_within, normal
from bascule.core.patterns import is_bare, literal_directory


@dataclass(frozen=True, slots=True)
class PathNames:
    """What relative, ``~`` and box paths stand for.

    Attributes:
        agent_root: the agent's directory; relative patterns and ``/workspace`` mean it.
        user_home: what ``~`` means; empty if it means nothing, and then such a pattern matches nothing.
        links: directories that are symbolic links, with the absolute path they lead to.
    """

    agent_root: str
    user_home: str = ""
    links: Mapping[str, str] = field(default_factory=dict)


def resolve_directory(directory: str, links: Mapping[str, str]) -> str:
    """Return a normal absolute directory with every link of the snapshot followed, longest first."""
    current = directory
    for _ in range(len(links) + 1):
        hit = max((link for link in links if is_within(current, link)), key=len, default=None)
        if hit is None:
            return current
        current = normal(links[hit] + current[len(hit) :])
    return directory


def anchored(path: str, names: PathNames) -> str:
    """Return a path or pattern made absolute, before links are followed; a bare name stays bare."""
    text = path.strip()
    if text == "~" or text.startswith("~/"):
        text = names.user_home + text[1:] if names.user_home else text
    elif not is_bare(text) and not text.startswith("/"):
        text = f"{names.agent_root}/{text.removeprefix('./')}"
    if is_within(text, BOX_ROOT):
        text = names.agent_root + text[len(BOX_ROOT) :]
    return text


def resolve_pattern(pattern: str, names: PathNames) -> str:
    """Return a pattern whose literal directory is absolute and resolved; from the first wildcard on it is kept."""
    text = anchored(pattern, names)
    directory = literal_directory(text)
    if not directory.startswith("/"):
        return text
    resolved = resolve_directory(normal(directory), names.links)
    return ("" if resolved == "/" else resolved) + text[len(directory) :]


def resolve_program(program: str, names: PathNames) -> tuple[str, ...]:
    """Return the absolute names of one needed program: as written, with its directory resolved, and resolved wholly.

    All count, because a script's first line names its interpreter one way and the disk another. The snapshot may hold
    the program itself (``{"/usr/bin/sh": "/usr/bin/dash"}``).
    """
    text = anchored(program, names)
    plain = normal(text) if text.startswith("/") else text
    beside = resolve_pattern(plain, names)
    return tuple(dict.fromkeys((plain, beside, resolve_directory(beside, names.links))))
