r"""JSON in ASCII, so that what an agent wrote does to a terminal what letters do, whoever prints it.

Stops: escape, bidirectional and invisible characters leaving as such; as in the verbs' ``--json`` they leave as
``\uXXXX``. Does not stop a client from decoding them.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse


def ascii_json(value: object) -> str:
    """Return the JSON text; every character beyond printable ASCII is escaped.

    Raises:
        ValueError: a number that JSON does not have.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")


class AsciiResponse(JSONResponse):
    """An answer in such JSON."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return ascii_json(content).encode("ascii")
