"""What ``edit`` takes. Stops: an edit of nothing, or into the same. Whether the text stands there, the worker sees."""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.call import Intent
from bascule.core.canonical import Json
from bascule.core.errors import Malformed
from bascule.core.paths import Access, Layout, PathUse, locate
from bascule.core.toolspec import ActionClass, Param, ParamKind, ToolSpec

SPEC = ToolSpec(
    "edit",
    ActionClass.WRITE,
    "Replace text in a file: oldText must stand in it exactly once, unless replaceAll is true.",
    (
        Param("path", ParamKind.PATH, "the file", aliases=("file_path",)),
        Param("oldText", ParamKind.STRING, "text that is there", max_length=1 << 19, aliases=("old_string", "old")),
        Param("newText", ParamKind.STRING, "text to put in", max_length=1 << 19, aliases=("new_string", "new")),
        Param("replaceAll", ParamKind.BOOLEAN, "replace every place", required=False, aliases=("replace_all",)),
    ),
)


def intend(args: Mapping[str, Json], layout: Layout) -> Intent:
    """The one file it edits.

    Raises:
        Malformed: ``oldText`` is empty, or equals ``newText``.
    """
    if not args["oldText"]:
        raise Malformed("edit_empty", "oldText is empty, so it stands everywhere", "use write for a new file")
    if args["oldText"] == args["newText"]:
        raise Malformed("edit_same", "oldText and newText are the same")
    return Intent((PathUse(locate(str(args["path"]), layout), Access.WRITE, "path"),))
