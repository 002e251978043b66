"""What a lasting gateway serves besides its own socket: the pages and interfaces over HTTP, and Signal.

Stops: a surface that cannot be served (a taken port, a daemon that is away) ending the gateway, or missing without
a word: it stands in the status and is tried again. Does not serve them for a gateway that lives for one verb.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from bascule.core.errors import BasculeError
from bascule.core.policy import Policy
from bascule.service.shapes import ErrorBody

if TYPE_CHECKING:
    from bascule.app.wiring import House

RETRY_SECONDS = 5.0
"""Between two tries to listen on a port that was taken."""

_ANYWHERE = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 -- compared with, never listened on


class Surfaces:
    """Opens, watches and ends them."""

    def __init__(self, policy: Policy, log: Callable[[str], None]) -> None:
        self._policy = policy
        self._log = log
        self._problem: BasculeError | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._lasting = False

    def dashboard(self) -> str:
        """Return the address a browser on this machine opens, empty if no pages are served."""
        http = self._policy.http
        if not (self._lasting and http.enabled and http.dashboard):
            return ""
        if http.host in _ANYWHERE:
            # By name: a browser keeps passkeys for names only.
            return f"http://localhost:{http.port}{http.base_path}"
        first = next(iter(http.origins), f"http://{_literal(http.host)}:{http.port}")
        return f"{first}{http.base_path}"

    def problems(self) -> tuple[ErrorBody, ...]:
        """Return why something that policy wants is not served."""
        if self._problem is None:
            return ()
        told = f"warn: pages and interfaces are not served: {self._problem.message}"
        return (ErrorBody(code=self._problem.code, message=told, remedy=self._problem.remedy),)

    async def open(self, house: House) -> None:
        """Begin to serve; returns when what can be served at once is."""
        self._lasting = True
        if self._policy.http.enabled:
            listener = self._try_to_listen()
            self._tasks.append(asyncio.ensure_future(self._serve(house, listener)))

    def _try_to_listen(self) -> socket.socket | None:
        from bascule.channels.web.serving import listen  # noqa: PLC0415 -- what one verb's gateway never pays for

        try:
            found = listen(self._policy.http)
        except BasculeError as error:
            if self._problem is None:
                self._log(str(error))
            self._problem = error
            return None
        self._problem = None
        return found

    async def _serve(self, house: House, listener: socket.socket | None) -> None:
        from bascule.channels import api, dashboard  # noqa: PLC0415 -- as above
        from bascule.channels.web.serving import serve  # noqa: PLC0415 -- as above
        from bascule.channels.web.site import build  # noqa: PLC0415 -- as above

        built = build(house.office, house.doors, self._policy, (api.add, dashboard.add))
        while listener is None:
            await asyncio.sleep(RETRY_SECONDS)
            listener = self._try_to_listen()
        self._log(f"pages and interfaces: http://{_literal(self._policy.http.host)}:{self._policy.http.port}")
        await serve(built, listener)

    async def close(self) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
