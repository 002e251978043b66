"""What installing means on this machine: which ids are free, which policy it begins with, what may start it.

Stops: an installation with a policy that does not compile, and one whose ids are somebody's. Looks; changes nothing.
"""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import bascule
from bascule.core.errors import NotPermitted, Unavailable
from bascule.core.policy import Backend, Policy
from bascule.host import site, tables, units
from bascule.host.accounts import PER_HOME, root_range
from bascule.host.install_plan import ROTATION, UNIT, Wish
from bascule.host.machine import Machine
from bascule.host.policy_file import read_policy_file
from bascule.host.policy_files import places
from bascule.host.prompts import MAX_PROMPT
from bascule.policy.compile import compile_policy
from bascule.policy.places import APPROVALS_NAME, CONFIG_NAME

SYSTEM_GIDS: Final = range(999, 99, -1)
"""Gids of system groups, from the top, as ``groupadd --system`` looks for one (``login.defs(5)``)."""

SYSTEMD_RUNS: Final = "/run/systemd/system"
"""There where systemd is the first process (``sd_booted(3)``)."""

MOST_PROMPTS: Final = 1000


def texts_of_home(home: Path) -> Mapping[str, str]:
    """Return both policy files and the prompts of a home, by path relative to it.

    Raises:
        BasculeError: one is missing, unsafe, or not UTF-8.
    """
    found: dict[str, str] = {}
    for name in (CONFIG_NAME, APPROVALS_NAME):
        content = read_policy_file(home / name)
        if content is not None:
            found[name] = _text(home / name, content)
    if CONFIG_NAME not in found:
        raise Unavailable("policy_missing", f"there is no {home / CONFIG_NAME}", "make a home with: bascule init")
    for path in _prompts(home / "prompts"):
        if len(found) > MOST_PROMPTS:
            raise Unavailable("prompt_unreadable", f"{home / 'prompts'} holds more than {MOST_PROMPTS} files")
        content = read_policy_file(path)
        found[str(path.relative_to(home))] = _text(path, content if content is not None else b"")
    return found


def _prompts(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    for entry in entries:
        seen = entry.lstat()
        if stat.S_ISDIR(seen.st_mode):
            yield from _prompts(entry)
        elif stat.S_ISREG(seen.st_mode):
            yield entry


def _text(path: Path, content: bytes) -> str:
    if len(content) > MAX_PROMPT and path.suffix not in {".json5", ".json"}:
        raise Unavailable("prompt_unreadable", f"{path} is larger than {MAX_PROMPT} bytes", "leave it out")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Unavailable("prompt_unreadable", f"{path} is not UTF-8", "mend it, or leave it out") from None


def has_policy(machine: Machine) -> bool:
    """True if a policy is in place; it stays, and there is nothing to begin with."""
    return machine.read(f"{site.CONFIG}/{CONFIG_NAME}") is not None


def wish_here(machine: Machine, texts: Mapping[str, str], operators: tuple[str, ...]) -> Wish:
    """Return what is to be installed on this machine.

    Args:
        machine: where.
        texts: policy and prompts to begin with; a file that is there already stays instead.
        operators: who may speak to the gateway besides root.

    Raises:
        Malformed: the policy does not compile.
        Unavailable: no ids are free.
    """
    given = root_range(site.HOME)
    policy = _policy(machine, texts)
    boxes = [agent.sandbox for agent in policy.agents.values()]
    docker = any(box.backend is Backend.DOCKER for box in boxes)
    proxy = any(box.network != "none" for box in boxes)
    return Wish(
        uid=given.gateway,
        count=PER_HOME,
        operators_gid=_operators_gid(machine),
        operators=tuple(dict.fromkeys(operators)),
        policy=texts,
        unit=units.service_unit(program(), docker=docker, proxy=proxy) if _parent_is_there(machine, UNIT) else None,
        rotation=units.rotation() if _parent_is_there(machine, ROTATION) else None,
        tables=tuple(name for name in ("/etc/subuid", "/etc/subgid") if not os.path.lexists(machine.path(name))),
        reload=machine.path(SYSTEMD_RUNS).is_dir(),
    )


def _parent_is_there(machine: Machine, name: str) -> bool:
    return machine.path(name).parent.is_dir()


def _policy(machine: Machine, texts: Mapping[str, str]) -> Policy:
    """The policy that would be in force: what is in place already, and else what is given."""
    found = []
    for name in (CONFIG_NAME, APPROVALS_NAME):
        there = machine.read(f"{site.CONFIG}/{name}")
        given = texts.get(name)
        found.append(there if there is not None else None if given is None else given.encode("utf-8"))
    where = replace(places(Path(site.HOME)), config=site.CONFIG)
    return compile_policy(found[0] if found[0] is not None else b"", found[1], where)[0]


def _operators_gid(machine: Machine) -> int:
    text = machine.text("/etc/group") or ""
    known = tables.row(text, site.OPERATORS)
    if known is not None:
        return known.number(2)
    taken = {row.number(2) for row in tables.rows(text)}
    free = next((gid for gid in SYSTEM_GIDS if gid not in taken), None)
    if free is None:
        raise Unavailable("gid_range_full", "no gid of a system group is free", "remove a group nobody uses")
    return free


def program() -> str:
    """Return the absolute path of the program ``bascule`` of this very installation."""
    return str(Path(sys.prefix) / "bin" / "bascule")


def code_paths() -> tuple[str, ...]:
    """Return the trees that root runs once this is installed: our code, what it needs, and the program itself."""
    return (
        str(Path(bascule.__file__).resolve().parent),
        str(Path(sys.prefix) / "bin"),
        str(Path(sys.prefix) / "lib"),
        sysconfig.get_path("stdlib"),
        sys.executable,
    )


def refuse_here() -> None:
    """Raise unless this account, on this system, can install at all.

    Raises:
        Unavailable: ``host_unsupported``.
        NotPermitted: ``install_needs_root``.
    """
    if sys.platform != "linux":
        raise Unavailable(
            "host_unsupported",
            f"{sys.platform} has none of what boxes are made of",
            "on a Mac, run it in a Linux machine; bascule host unit --macos prints what would start it",
        )
    if os.geteuid() != 0:
        raise NotPermitted("install_needs_root", "accounts and /etc are root's", "run it as root, such as with sudo")
