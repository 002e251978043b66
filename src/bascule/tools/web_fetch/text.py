"""From bytes that a site calls text to text.

Stops: an encoding nobody asked for, and invisible characters. A page of HTML is not made into text here.
"""

from __future__ import annotations

from typing import Final

from bascule.core.errors import Unavailable
from bascule.core.plain import plain_text

_CHARSETS: Final = {
    **dict.fromkeys(("", "utf-8", "utf8"), "utf-8"),
    **dict.fromkeys(("us-ascii", "iso-8859-1", "latin1", "windows-1252"), "cp1252"),
}
"""What a site may call its encoding, and what that is in practice (WHATWG Encoding, section 4.2)."""

_TEXTS: Final = frozenset(
    {"text/plain", "text/markdown", "text/csv", "application/json", "text/xml", "application/xml"}
)
PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})


def is_text(content_type: str) -> bool:
    """True for a type that is read as it stands."""
    return content_type in _TEXTS or (content_type.startswith("application/") and content_type.endswith("+json"))


def decoded(untrusted_body: bytes, charset: str) -> str:
    """Return the text of a body, with a replacement character for what is no character.

    Raises:
        Unavailable: ``charset_unknown``.
    """
    codec = _CHARSETS.get(charset)
    if codec is None:
        raise Unavailable("charset_unknown", f"the answer's encoding is {charset[:40]!r}, which is not read")
    return plain_text(untrusted_body.decode(codec, "replace").removeprefix("\ufeff"))
