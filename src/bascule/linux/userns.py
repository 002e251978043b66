"""Why this machine lets no ordinary account make a user namespace, if that is so.

Stops: an operator left with "operation not permitted" where one setting of the kernel is the whole reason. Does not
stop: other reasons, such as a filter of system calls around a container; then nothing is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SETTINGS_ROOT = Path("/proc/sys")
"""Where the kernel shows its settings."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A kernel setting: its name, the value that forbids user namespaces, and one that does not."""

    name: str
    forbids: str
    allows: str

    @property
    def remedy(self) -> str:
        """What to run."""
        return f"run as root: sysctl -w {self.name}={self.allows} (and write it into /etc/sysctl.d to keep it)"


SETTINGS = (
    # Ubuntu since 23.10: the namespace is made, and every right in it denied, unless an AppArmor profile allows it.
    Setting("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    # A patch that Debian carries, and Ubuntu and Arch in some kernels.
    Setting("kernel.unprivileged_userns_clone", "0", "1"),
    # namespaces(7).
    Setting("user.max_user_namespaces", "0", "15000"),
)


def forbidding(root: Path = SETTINGS_ROOT) -> Setting | None:
    """Return the setting that forbids ordinary accounts to make user namespaces, None if none does.

    Args:
        root: where the kernel shows its settings.
    """
    for setting in SETTINGS:
        try:
            value = (root / setting.name.replace(".", "/")).read_text("ascii").strip()
        except (OSError, ValueError):
            continue
        if value == setting.forbids:
            return setting
    return None
