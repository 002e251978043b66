"""The one operation of a worker that reads pages: it has no files, and ends after its page.

Stops: a page that breaks its reader reaching anything: behind the walls this process can open no file and no socket.
"""

from __future__ import annotations

from bascule.sandboxes.worker.frames import OVERHEAD
from bascule.sandboxes.worker.pages import decoded, load_encodings, text_of
from bascule.sandboxes.worker.refusal import code_of


class PageWorker:
    """Makes text of pages of at most ``page_bytes`` bytes, cut to ``text_bytes``."""

    def __init__(self, page_bytes: int, text_bytes: int) -> None:
        """Load what it takes to decode a page."""
        self._page_bytes = page_bytes
        self._text_bytes = text_bytes
        load_encodings()

    @property
    def largest_request(self) -> int:
        """Most bytes of a request body: one page and what goes with it."""
        return self._page_bytes + OVERHEAD

    def answer(self, fields: list[bytes]) -> list[bytes]:
        """Return ``ok`` with the text in UTF-8, or ``no`` with a code; raises nothing but what ends a process."""
        if len(fields) != 3 or fields[0] != b"text":
            return [b"no", b"request_unknown"]
        try:
            page = decoded(fields[2], fields[1].decode("ascii", "replace"))
            if page is None:
                return [b"no", b"charset_unknown"]
            text = text_of(page).encode("utf-8", "replace")
        except Exception as error:  # noqa: BLE001 -- a page that breaks its reader has no text, and that is said
            return [b"no", code_of(error).encode("ascii")]
        return [b"ok", text[: self._text_bytes].decode("utf-8", "ignore").encode()]
