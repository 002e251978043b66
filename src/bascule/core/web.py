"""What came back from the web, before anybody has made text of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer, after redirects.

    Attributes:
        url: the address that answered.
        host: its host, canonical.
        status: HTTP status.
        content_type: media type in lower case without parameters, empty if none or more than one was said.
        charset: its charset parameter in lower case, empty if none was said.
        body: bytes as they came, cut to size.
        truncated: there was more.
        hops: every address asked, in order, ``url`` last.
    """

    url: str
    host: str
    status: int
    content_type: str
    charset: str
    body: bytes
    truncated: bool
    hops: tuple[str, ...]
