"""A Seatbelt profile for one agent's programs on macOS: text for ``sandbox-exec -f``, made from policy's own words.

UNTESTED: nobody has run it on a Mac yet, and Apple calls the tool deprecated. Meant to stop a program reading outside
the agent's directory, writing outside its three own ones, starting another program, and reaching any network. Does not
give the program an account of its own, and no gateway here makes use of it: boxes need Linux.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bascule.core.errors import Malformed

UNTESTED = "untested: this profile has never been run on a Mac; try it on copies, and tell us how it went"

SYSTEM_READ = ("/usr/lib", "/usr/share", "/System/Library", "/Library/Apple/System/Library", "/private/var/db/dyld")
"""Where programs find libraries, locales and the loader's cache."""

SYSTEM_FILES = (
    "/",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/dev/dtracehelper",
    "/private/etc/localtime",
)
"""Single files nearly every program opens."""

_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """What programs may: absolute paths with links resolved, as Seatbelt compares them.

    Attributes:
        agent: whose.
        read: directories to read.
        write: directories to read and write.
        programs: files to start.
    """

    agent: str
    read: tuple[str, ...]
    write: tuple[str, ...]
    programs: tuple[str, ...]


def profile(wanted: Wanted) -> str:
    """Return the profile's text: everything is denied, then these few things are allowed.

    Raises:
        Malformed: ``seatbelt_path``: a path is not absolute and plain, or would open everything.
    """
    lines = [
        f"; {UNTESTED}",
        f"; programs of agent {_comment(wanted.agent)}",
        "(version 1)",
        "(deny default)",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
        *_rule("file-read*", "literal", SYSTEM_FILES),
        *_rule("file-read*", "subpath", SYSTEM_READ),
        *_rule("file-read* file-map-executable", "literal", wanted.programs),
        *_rule("process-exec*", "literal", wanted.programs),
        *_rule("file-read*", "subpath", (*wanted.read, *wanted.write), whole=False),
        *_rule("file-write*", "subpath", wanted.write, whole=False),
        # A later rule wins: what was allowed above never makes a file that could be started, or raise anybody.
        *_rule("process-exec*", "subpath", wanted.write, whole=False, verb="deny"),
        "(deny file-write-setugid)",
        "(deny network*)",
    ]
    return "\n".join(lines) + "\n"


def _rule(operation: str, kind: str, paths: Iterable[str], *, whole: bool = True, verb: str = "allow") -> Iterable[str]:
    found = [f"  ({kind} {quoted(path, whole=whole)})" for path in dict.fromkeys(paths)]
    return [f"({verb} {operation}", *found[:-1], f"{found[-1]})"] if found else []


def quoted(path: str, *, whole: bool) -> str:
    """Return a path as a profile's string.

    Args:
        path: absolute.
        whole: the root itself may be named.

    Raises:
        Malformed: ``seatbelt_path``.
    """
    parts = path.split("/")[1:]
    plain = path.startswith("/") and path.isprintable() and len(path) <= _LONGEST and not {".", ".."} & set(parts)
    if not plain or (path != "/" and "" in parts) or (path == "/" and not whole):
        raise Malformed("seatbelt_path", f"{path[:200]!r} cannot stand in a profile", "name an absolute, plain path")
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _comment(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())
