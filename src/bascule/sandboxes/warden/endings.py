"""How containers end at once: by the kernel, through each one's own control group.

Stops: containment waiting for a container to end by itself, or for Docker, which takes some fifty milliseconds to pass
a signal on, or for ever if it hangs. The wrong processes cannot be killed: a group is used only if it bears the
container's whole id, which only root could name a group by, and its handle stays with that one group. Where the machine
has no version 2 of control groups, Docker ends the container as before. Does not clear up what Docker keeps of it.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from bascule.core.ids import AgentId
from bascule.linux.calls import open_without_links
from bascule.linux.groups import parse_mounts, parse_own

_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


def group_of(proc: int, pid: int, container: str) -> str:
    """Return the directory of a container's own control group; empty for none that can be killed.

    Args:
        proc: a descriptor of the host's ``/proc``.
        pid: its first process, as the host counts.
        container: its id.
    """
    try:
        with open(os.open(f"{pid}/cgroup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc), encoding="utf-8") as text:
            own = parse_own(text.read()).get("", "")
        unified = parse_mounts(Path("/proc/self/mounts").read_text("utf-8"))[1]
    except (OSError, ValueError):
        return ""
    named = _ID.fullmatch(container) is not None and container in own.rpartition("/")[2]
    return unified + own if unified and named else ""


@dataclass(slots=True)
class Endings:
    """Handles of control groups, by the place their container connects in."""

    _held: dict[str, tuple[AgentId, int]] = field(default_factory=dict)

    def hold(self, place: str, agent: AgentId, group: str) -> None:
        """Take hold of a container's group, as :func:`group_of` gave it; of none if it has gone since."""
        self._let_go_of_the_gone()
        if group and place not in self._held:
            with contextlib.suppress(OSError):
                self._held[place] = agent, open_without_links(group, os.O_PATH | os.O_DIRECTORY)

    def kill(self, agent: AgentId | None, place: str = "") -> None:
        """Kill every process of the container at a place, of those of an agent, or of all."""
        for known, (whose, group) in list(self._held.items()):
            if agent in (None, whose) and place in ("", known):
                del self._held[known]
                with contextlib.suppress(OSError):  # it has ended by itself, or the kernel cannot: Docker does it then
                    _write(group, "cgroup.kill", b"1")
                os.close(group)

    def _let_go_of_the_gone(self) -> None:
        for place, (_, group) in list(self._held.items()):
            try:
                os.stat("cgroup.procs", dir_fd=group)
            except OSError:
                del self._held[place]
                os.close(group)


def _write(group: int, name: str, content: bytes) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=group)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
