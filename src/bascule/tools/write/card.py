"""What an operator sees before a write outside the agent's directory is let through."""

from __future__ import annotations

from bascule.core.call import Call


def card(call: Call) -> tuple[str, ...]:
    """The file and the whole content, line by line."""
    content = str(call.args["content"])
    verb = "append to" if call.args.get("append") else "replace"
    return (
        f"{verb} the file: {call.paths[0].place.host}",
        "written with the agent's own account: if that account may not write it, a yes does not help",
        "outside its directory only a file that exists is written; none is made",
        f"content ({len(content.encode())} bytes):",
        *(f"| {line}" for line in content.split("\n")),
    )
