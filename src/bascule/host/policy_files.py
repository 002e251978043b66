"""Compiling a home's two policy files.

Stops: two parts of the program reading them differently. Nothing here, and nothing anywhere at run time, writes them.
Does not stop: their owner from changing them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import bascule
from bascule.core.errors import Unavailable
from bascule.core.finding import Finding
from bascule.core.policy import Policy
from bascule.host.callprofiles import with_profiles
from bascule.host.policy_file import read_policy_file
from bascule.host.site import site_of
from bascule.policy.compile import compile_policy
from bascule.policy.places import APPROVALS_NAME, CONFIG_NAME, Places

MERGED = ("/bin", "/sbin", "/lib", "/lib64", "/usr/sbin")
"""Directories that are links on merged-usr systems."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A compiled policy, what an operator should know about it, and where it came from."""

    policy: Policy
    findings: tuple[Finding, ...]
    places: Places
    config: bytes
    approvals: bytes | None


def load(home: Path, built_tools: frozenset[str] = frozenset()) -> Loaded:
    """Read and compile the policy of a home.

    Args:
        home: absolute path.
        built_tools: names of tools this version carries out, for findings.

    Raises:
        Unavailable: ``policy_missing`` or ``policy_unreadable``.
        Tampered: ``policy_file_unsafe``: a link, no plain file, or writable by others.
        Malformed: it does not parse; see :func:`bascule.policy.compile.compile_policy`.
        BasculeError: a profile it names; see :func:`bascule.host.callprofiles.profile_digest`.
    """
    directory = site_of(home).config
    config = read_policy_file(directory / CONFIG_NAME)
    if config is None:
        raise Unavailable("policy_missing", f"there is no {directory / CONFIG_NAME}", "make a home with: bascule init")
    approvals = read_policy_file(directory / APPROVALS_NAME)
    where = places(home, built_tools)
    policy, findings = compile_policy(config, approvals, where)
    return Loaded(with_profiles(policy), findings, where, config, approvals)


def places(home: Path, built_tools: frozenset[str] = frozenset()) -> Places:
    """Return where a home and its surroundings lie on this machine."""
    links = {name: os.path.realpath(name) for name in MERGED if Path(name).is_symlink()}
    code, site = str(Path(bascule.__file__).resolve().parent), site_of(home)
    return Places(
        os.path.realpath(home),
        str(Path.home()),
        links,
        (code, *site.governing),
        built_tools=built_tools,
        config=str(site.config) if site.installed else "",
    )
