"""The HTTP client that model SDKs are given.

Stops: a redirect carrying a key to another host. Does not stop: a proxy named in the gateway's environment, which is
the operator's own way out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bascule.runtime.providers.layered import SILENCE

if TYPE_CHECKING:
    import httpx2


def client() -> httpx2.AsyncClient:
    """Return a client that follows no redirect and waits no longer than :data:`layered.SILENCE`."""
    # Imported with the SDKs, which need it, and not before.
    import httpx2  # noqa: PLC0415 - see above

    return httpx2.AsyncClient(follow_redirects=False, timeout=httpx2.Timeout(SILENCE, connect=10.0))
