"""The systemd unit that starts warden and gateway, and the rotation of their log, as texts.

Stops: a warden with a right it does not use, a service that may write anywhere but where it works, and one that reaches
an engine no policy asks for. What each line is for stands beside it; the rest of the walls are the warden's own. Does
not stop what the warden itself may do as root: it makes boxes.
"""

from __future__ import annotations

from bascule.core.errors import Malformed
from bascule.host.site import CONFIG, HOME, LOGS

CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
    "CAP_SYS_ADMIN",
)  # fmt: skip
"""What the warden needs for boxes of bubblewrap: with any one of them left out it does not start, or cannot kill."""

ENGINE_CAPABILITIES = ("CAP_SYS_CHROOT", "CAP_SYS_PTRACE")
"""What it needs besides for containers, which are not its children: it enters their mounts to tighten them."""

PROXY_CAPABILITIES = ("CAP_NET_ADMIN",)
"""What it needs besides for boxes with a way out: it raises their loopback before anything runs."""

_ODD = frozenset("\"'\\$")
"""What systemd's own quoting would change in the name of a program."""

_TEXT = """\
# Made by: bascule host install. Changes of your own belong into: systemctl edit bascule
[Unit]
Description=Bascule: warden and gateway
After=network.target{order}

[Service]
# Started as root, it splits: the warden keeps the rights named below, the gateway gives up every one.
Type=notify
NotifyAccess=main
ExecStart={program} --home {home} gateway start --foreground
EnvironmentFile=-{config}/environment
Restart=on-failure
RestartSec=5
# The gateway ends its boxes and closes its ledger; what is left then is killed.
KillMode=mixed
TimeoutStopSec=60
# A box that needs too much memory ends alone.
OOMPolicy=continue
Delegate=yes
TasksMax=4096
LimitCORE=0
LimitNOFILE=65536
StandardInput=null
StandardOutput=append:{logs}/gateway.log
StandardError=inherit
RuntimeDirectory=bascule
RuntimeDirectoryMode=0750

# Files: everything is read-only but where it works. For outside files that agents may be allowed to write, add
# ReadWritePaths= in a drop-in.
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={home} {logs}
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
{engine}
# The kernel.
ProtectClock=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
KeyringMode=private
LockPersonality=yes
RestrictRealtime=yes
NoNewPrivileges=yes
# Not RestrictSUIDSGID: it takes openat2 away, by which files are opened without following links.
# The gateway speaks to hosts that policy names; bubblewrap raises a box's own loopback by netlink.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
# Boxes are made of these, and each has a host name of its own (so no ProtectHostname); what is missing is the clock.
RestrictNamespaces=cgroup ipc mnt net pid user uts
SystemCallArchitectures=native
SystemCallFilter=@system-service @mount {calls}
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
CapabilityBoundingSet={capabilities}
AmbientCapabilities=

[Install]
WantedBy=multi-user.target
"""

_NO_ENGINE = """\
# No policy names Docker, so its engine is out of reach.
InaccessiblePaths=-/run/docker.sock -/run/containerd
"""

_CALLS = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "sethostname")
"""System calls besides the groups of ``systemd-analyze syscall-filter`` that making boxes takes."""


def service_unit(program: str, *, docker: bool, proxy: bool) -> str:
    """Return the unit's text.

    Args:
        program: absolute path of ``bascule``.
        docker: policy puts an agent into Docker, so the warden must reach its engine.
        proxy: policy gives an agent a way to the network.

    Raises:
        Malformed: ``unit_path``: the path cannot stand in a unit.
    """
    words = _quoted(program)
    engine = "# Policy names Docker, and the warden speaks to its engine.\n" if docker else _NO_ENGINE
    order = " docker.service" if docker else ""
    return _TEXT.format(
        program=words,
        home=HOME,
        config=CONFIG,
        logs=LOGS,
        capabilities=" ".join(capabilities(docker=docker, proxy=proxy)),
        engine=engine,
        order=order,
        calls=" ".join(_CALLS),
    )


def capabilities(*, docker: bool, proxy: bool) -> tuple[str, ...]:
    """Return the bounding set, sorted; arguments as :func:`service_unit`."""
    return tuple(
        sorted((*CAPABILITIES, *(ENGINE_CAPABILITIES if docker else ()), *(PROXY_CAPABILITIES if proxy else ())))
    )


def _quoted(path: str) -> str:
    """Return a path as a word of ``ExecStart`` (``systemd.service(5)``, COMMAND LINES)."""
    if not path.startswith("/") or not path.isprintable() or not _ODD.isdisjoint(path):
        raise Malformed("unit_path", f"{path[:200]!r} cannot stand in a unit", "install Bascule at an ordinary path")
    return '"' + path.replace("%", "%%") + '"'


def rotation() -> str:
    """Return the text of the logrotate file (``logrotate(8)``).

    The gateway keeps its log open for appending, so a copy is cut off rather than another file begun.
    """
    return f"""\
# Made by: bascule host install.
{LOGS}/gateway.log {{
    weekly
    maxsize 50M
    rotate 8
    compress
    delaycompress
    missingok
    notifempty
    copytruncate
    su root root
}}
"""
