"""Where the parts of a home lie: all in one directory, or spread as ``bascule host install`` laid them out.

Stops: what governs a home being found by a word its gateway could have written. A home is an installed one because a
file of root's in ``/etc`` says so, and for no other reason: no variable, no pointer in the home, no link. Does not stop
root.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bascule.core.errors import Tampered, Unavailable

CONFIG: Final = "/etc/bascule"
HOME: Final = "/var/lib/bascule"
LOGS: Final = "/var/log/bascule"
RUN: Final = "/run/bascule"
"""Where the Filesystem Hierarchy Standard 3.0 puts configuration, state, logs and sockets of a service."""

OPERATORS: Final = "bascule-operators"
"""The group whose members may speak to an installed gateway."""

MANIFEST: Final = "installed.json"
"""What ``host install`` made, in :data:`CONFIG`; its being there is what makes :data:`HOME` an installed home."""

SHOWN: Final = ("state", "agents", "shared", "accounts.json")
"""What of an installed home its gateway is shown; the directory itself is root's alone."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one home's parts lie, absolute.

    Attributes:
        home: what agents and gateway write: ``agents/``, ``shared/``, ``state/``.
        config: the two policy files and ``prompts/``.
        run: the socket and the lock.
        logs: the gateway's log.
        operators: the group whose members may speak to the gateway, empty if there is none.
    """

    home: Path
    config: Path
    run: Path
    logs: Path
    operators: str = ""

    @property
    def installed(self) -> bool:
        """True if ``bascule host install`` laid this out: policy is root's and lies apart from what is written."""
        return self.config != self.home

    @property
    def governing(self) -> tuple[str, ...]:
        """Paths besides the home that no agent may reach."""
        return (str(self.config), str(self.run), str(self.logs)) if self.installed else ()


def site_of(home: Path, root: Path = Path("/")) -> Site:
    """Return where the parts of a home lie.

    Args:
        home: the home, as the operator spells it.
        root: stands for ``/``.

    Raises:
        Tampered: ``install_unsafe``: the installation's own record could have been changed by somebody but root.
        Unavailable: ``install_unsafe``: it cannot be looked at.
    """
    if os.path.realpath(home) == os.path.realpath(beneath(root, HOME)) and is_installed(root):
        config, run, logs = (beneath(root, part) for part in (CONFIG, RUN, LOGS))
        return Site(home, config, run, logs, OPERATORS)
    return Site(home, home, home / "run", home / "logs")


def is_installed(root: Path = Path("/")) -> bool:
    """True if this machine has an installed home, be it a half-made one.

    Raises:
        Tampered, Unavailable: as :func:`site_of`.
    """
    path = beneath(root, CONFIG) / MANIFEST
    try:
        seen, around = path.lstat(), path.parent.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise Unavailable("install_unsafe", f"{path}: {error.strerror}", "ask root") from None
    owner = beneath(root, "/").stat().st_uid
    plain = stat.S_ISREG(seen.st_mode) and stat.S_ISDIR(around.st_mode)
    if not plain or {seen.st_uid, around.st_uid} != {owner} or (seen.st_mode | around.st_mode) & 0o022:
        raise Tampered("install_unsafe", f"{path} is not root's alone", f"chown root: {path}; chmod 644 {path}")
    return True


def beneath(root: Path, path: str) -> Path:
    """Return an absolute path as it lies below ``root``."""
    return root / path.lstrip("/")
