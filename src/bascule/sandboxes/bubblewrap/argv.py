"""The command line of bubblewrap, made from values.

Stops: an option of a box depending on anything but what was decided. The mounts are not here: the warden lays the whole
root out before it drops its rights, and bubblewrap takes it as it lies, so that no path is looked up with an agent's
rights and no home below a closed directory is out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bascule.core.paths import BOX_ROOT

STAGE = "/tmp/box"  # noqa: S108 -- lies on a tmpfs of the box's own mount namespace
"""Where the warden lays the root out, in the box's own mount namespace."""

ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "HOME": BOX_ROOT, "LANG": "C.UTF-8"}
"""All a program sees of the environment."""


def box_argv(
    command: Sequence[str],
    *,
    seccomp_fd: int,
    status_fd: int,
    block_fd: int | None = None,
    directory: str = BOX_ROOT,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> tuple[str, ...]:
    """Return the words that make bubblewrap run ``command`` in the staged root.

    Args:
        command: absolute path in the box, then arguments.
        seccomp_fd: descriptor with the filter's bytes.
        status_fd: descriptor bubblewrap reports the start and the exit status to.
        block_fd: descriptor it waits at before the command starts.
        directory: working directory in the box.
        environment: the whole environment.
    """
    words = [
        "bwrap",
        "--unshare-user",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--hostname",
        "box",
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
    words += ["--seccomp", str(seccomp_fd), "--json-status-fd", str(status_fd)]
    if block_fd is not None:
        words += ["--block-fd", str(block_fd)]
    return (*words, "--", *command)
