"""What ``write`` takes. Stops: writing anything but one named file with content that stands in the call."""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.call import Intent
from bascule.core.canonical import Json
from bascule.core.paths import Access, Layout, PathUse, locate
from bascule.core.toolspec import ActionClass, Param, ParamKind, ToolSpec

SPEC = ToolSpec(
    "write",
    ActionClass.WRITE,
    "Write a file below workspace/, memory/ or output/, replacing what is there; parent directories are made.",
    (
        Param("path", ParamKind.PATH, "the file", aliases=("file_path",)),
        Param("content", ParamKind.STRING, "the whole new content", max_length=1 << 20),
        Param("append", ParamKind.BOOLEAN, "add to the end instead of replacing", required=False),
    ),
)


def intend(args: Mapping[str, Json], layout: Layout) -> Intent:
    """The one file it writes."""
    return Intent((PathUse(locate(str(args["path"]), layout), Access.WRITE, "path"),))
