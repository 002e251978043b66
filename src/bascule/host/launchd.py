"""What would start Bascule on macOS: a launchd property list and a newsyslog line, as texts.

Untested: nobody has loaded them on a Mac yet, and Bascule's boxes need Linux; they are here for whoever tries. Stops
nothing by itself.
"""

from __future__ import annotations

import plistlib
from typing import Final

from bascule.core.errors import Malformed
from bascule.host.site import HOME, LOGS

LABEL: Final = "org.bascule.gateway"
PLIST: Final = f"/Library/LaunchDaemons/{LABEL}.plist"
NEWSYSLOG: Final = "/etc/newsyslog.d/bascule.conf"


def property_list(program: str) -> str:
    """Return the property list (``launchd.plist(5)``).

    Args:
        program: absolute path of ``bascule``.

    Raises:
        Malformed: ``unit_path``: the path cannot stand in it.
    """
    if not program.startswith("/") or not program.isprintable():
        raise Malformed("unit_path", f"{program[:200]!r} cannot stand in a unit", "install it at an ordinary path")
    body = {
        "Label": LABEL,
        "ProgramArguments": [program, "--home", HOME, "gateway", "start", "--foreground"],
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 5,
        "ExitTimeOut": 60,
        "Umask": 0o022,
        "ProcessType": "Background",
        "StandardInPath": "/dev/null",
        "StandardOutPath": f"{LOGS}/gateway.log",
        "StandardErrorPath": f"{LOGS}/gateway.log",
        "SoftResourceLimits": {"Core": 0},
        "HardResourceLimits": {"Core": 0},
    }
    return plistlib.dumps(body, sort_keys=True).decode("utf-8")


def newsyslog() -> str:
    """Return the line that rotates the log (``newsyslog.conf(5)``): weekly, eight kept, compressed, at most 50 MB."""
    return (
        f"# logfilename owner:group mode count size(KB) when flags\n{LOGS}/gateway.log root:wheel 600 8 51200 $W0 JN\n"
    )
