"""The command line of bubblewrap, made from values.

Stops: an option of a box depending on anything but what was decided. The mounts are not here: the warden lays the whole
root out before it drops its rights, and bubblewrap takes it as it lies, so that no path is looked up with an agent's
rights and no home below a closed directory is out of reach. Nor are the network, the host name and System V's objects:
the child that becomes bubblewrap has left those of the host before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bascule.core.paths import BOX_ROOT

STAGE = "/tmp/box"  # noqa: S108 -- lies on a tmpfs of the box's own mount namespace
"""Where the warden lays the root out, in the box's own mount namespace."""

ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "HOME": BOX_ROOT, "LANG": "C.UTF-8"}
"""All a program sees of the environment."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Inherited descriptors bubblewrap is told of.

    Attributes:
        seccomp: holds the filter's bytes.
        status: bubblewrap reports the start and the exit status to it.
        block: bubblewrap waits at it before the command starts; None not to wait.
    """

    seccomp: int
    status: int
    block: int | None = None


def box_argv(
    command: Sequence[str],
    descriptors: Descriptors,
    *,
    directory: str = BOX_ROOT,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> tuple[str, ...]:
    """Return the words that make bubblewrap run ``command`` in the staged root.

    Args:
        command: absolute path in the box, then arguments.
        descriptors: what it is told of.
        directory: working directory in the box.
        environment: the whole environment.
    """
    words = [
        "bwrap",
        "--unshare-user",
        "--unshare-pid",
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
        # Devices are allowed for the whole root because its own /dev holds five; every other mount already says nodev.
        "--dev-bind",
        STAGE,
        "/",
        "--proc",
        "/proc",
        "--chdir",
        directory,
        "--clearenv",
    ]
    for name, value in environment.items():
        words += ["--setenv", name, value]
    words += ["--seccomp", str(descriptors.seccomp), "--json-status-fd", str(descriptors.status)]
    if descriptors.block is not None:
        words += ["--block-fd", str(descriptors.block)]
    return (*words, "--", *command)
