"""Every tool name an operator's policy can hold besides the built ones, and what each would need.

Stops: a call of such a tool being taken for an unknown name, so that a denied tool is seen to be tried. The names are
OpenClaw's (2026); a tool leaves this list when it is built.
"""

from __future__ import annotations

from bascule.core.facts import Enforcement
from bascule.core.toolspec import ActionClass, ToolSpec

_NAMES: dict[tuple[ActionClass, Enforcement], str] = {
    (ActionClass.WEB, Enforcement.NOT_CARRIED): "x_search",
    (ActionClass.MEMORY, Enforcement.MEMORY): "memory_search memory_get",
    (ActionClass.PEER, Enforcement.PEERS): (
        "sessions_send sessions_list sessions_history sessions_spawn sessions_yield session_status subagents"
    ),
    (ActionClass.EXTERNAL, Enforcement.CHANNEL): "message",
    (ActionClass.SCHEDULE, Enforcement.SCHEDULE): "cron",
    (ActionClass.READ, Enforcement.IMAGES): "image",
    (ActionClass.WRITE, Enforcement.NOT_CARRIED): "apply_patch canvas image_generate music_generate video_generate tts",
    (ActionClass.COMPUTE, Enforcement.NOT_CARRIED): "process code_execution browser",
    (ActionClass.ADMIN, Enforcement.NOT_CARRIED): "gateway nodes agents_list update_plan",
}

_DESCRIPTION = "Not carried out by this version."

SPECS: tuple[ToolSpec, ...] = tuple(
    ToolSpec(name, action, _DESCRIPTION, needs=frozenset({need}), open_args=True)
    for (action, need), names in _NAMES.items()
    for name in names.split()
)
"""One spec a name."""
