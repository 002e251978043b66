"""What an operator sees before an edit outside the agent's directory is let through."""

from __future__ import annotations

from bascule.core.call import Call


def card(call: Call) -> tuple[str, ...]:
    """The file and the change, as removed and added lines."""
    every = "every place" if call.args.get("replaceAll") else "the one place"
    return (
        f"edit the file: {call.paths[0].place.host}",
        "edited with the agent's own account: if that account may not write it, a yes does not help",
        f"in {every} where this stands:",
        *(f"- {line}" for line in str(call.args["oldText"]).split("\n")),
        *(f"+ {line}" for line in str(call.args["newText"]).split("\n")),
    )
