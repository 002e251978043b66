"""What ``read`` takes. Stops: reading anything but one named file. Does not judge where the file lies; layer 2 does."""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.call import Intent
from bascule.core.canonical import Json
from bascule.core.paths import Access, Layout, PathUse, locate
from bascule.core.toolspec import ActionClass, Param, ParamKind, ToolSpec

SPEC = ToolSpec(
    "read",
    ActionClass.READ,
    "Read a file. Relative paths start at your own directory. Returns at most `limit` bytes from byte `offset`.",
    (
        Param("path", ParamKind.PATH, "the file", aliases=("file_path",)),
        Param("offset", ParamKind.INTEGER, "first byte, 0 if left out", required=False),
        Param("limit", ParamKind.INTEGER, "most bytes to return", required=False, minimum=1, maximum=1 << 20),
    ),
)


def intend(args: Mapping[str, Json], layout: Layout) -> Intent:
    """The one file it reads."""
    return Intent((PathUse(locate(str(args["path"]), layout), Access.READ, "path"),))
