"""Reading a home's two policy files and compiling them.

Stops: a policy file that is a link, a device, too large, or writable by somebody who is not its owner being believed.
Nothing here, and nothing anywhere at run time, writes them. Does not stop: their owner from changing them.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import bascule
from bascule.core.errors import Tampered, Unavailable
from bascule.core.finding import Finding
from bascule.core.policy import Policy
from bascule.policy.compile import compile_policy
from bascule.policy.places import APPROVALS_NAME, CONFIG_NAME, Places

MAX_BYTES = 4 << 20
"""Bytes of a policy file; a real one has some tens of thousands."""

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
    """
    config = read_policy_file(home / CONFIG_NAME)
    if config is None:
        raise Unavailable("policy_missing", f"there is no {home / CONFIG_NAME}", "make a home with: bascule init")
    approvals = read_policy_file(home / APPROVALS_NAME)
    where = places(home, built_tools)
    policy, findings = compile_policy(config, approvals, where)
    return Loaded(policy, findings, where, config, approvals)


def places(home: Path, built_tools: frozenset[str] = frozenset()) -> Places:
    """Return where a home and its surroundings lie on this machine."""
    links = {name: os.path.realpath(name) for name in MERGED if Path(name).is_symlink()}
    code = str(Path(bascule.__file__).resolve().parent)
    return Places(os.path.realpath(home), str(Path.home()), links, (code,), built_tools=built_tools)


def read_policy_file(path: Path) -> bytes | None:
    """Return a policy file's bytes, None if there is none.

    Raises:
        Unavailable: it cannot be read, or is larger than 4 MiB.
        Tampered: it is a link or no plain file, or its group or everybody may write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise Unavailable("policy_unreadable", f"{path} may not be read", f"run: chmod 644 {path}") from None
    except OSError as error:
        what = "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be opened: {error.strerror}"
        raise Tampered("policy_file_unsafe", f"{path} {what}", "make it a plain file") from None
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise Tampered("policy_file_unsafe", f"{path} is not a plain file", "make it one")
        if seen.st_mode & 0o022:
            raise Tampered(
                "policy_file_unsafe", f"{path} may be written by others than its owner", f"run: chmod go-w {path}"
            )
        if seen.st_size > MAX_BYTES:
            raise Unavailable("policy_unreadable", f"{path} is larger than {MAX_BYTES} bytes")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
