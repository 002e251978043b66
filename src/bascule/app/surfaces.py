"""What a lasting gateway serves besides its own socket: the pages and interfaces over HTTP, and Signal.

Stops: a surface that cannot be served (a taken port, a daemon that is away) ending the gateway, or missing without
a word: it stands in the status and is tried again. Does not serve them for a gateway that lives for one verb.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from bascule.core.errors import BasculeError
from bascule.core.policy import Policy
from bascule.service.shapes import ErrorBody

if TYPE_CHECKING:
    from bascule.app.wiring import House
    from bascule.channels.signal.bridge import Bridge
    from bascule.channels.web.serving import Listener

RETRY_SECONDS = 5.0
"""Between two tries to listen on a port that was taken."""

_RESTART = "run: bascule gateway restart"

_ANYWHERE = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 -- compared with, never listened on


class Surfaces:
    """Opens, watches and ends them."""

    def __init__(self, policy: Policy, log: Callable[[str], None]) -> None:
        self._policy = policy
        self._log = log
        self._problem: BasculeError | None = None
        self._broken: list[ErrorBody] = []
        self._bridge: Bridge | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._lasting = False

    def dashboard(self) -> str:
        """Return the address a browser on this machine opens, empty if no pages are served."""
        http = self._policy.http
        # While another program has the port, a link would hand that program the secret in it.
        if self._problem is not None or not (self._lasting and http.enabled and http.dashboard):
            return ""
        if http.host in _ANYWHERE:
            # By name: a browser keeps passkeys for names only.
            return f"http://localhost:{http.port}{http.base_path}"
        first = next(iter(http.origins), f"http://{_literal(http.host)}:{http.port}")
        return f"{first}{http.base_path}"

    def problems(self) -> tuple[ErrorBody, ...]:
        """Return why something that policy wants is not served."""
        found = list(self._broken)
        if self._problem is not None:
            told = f"warn: pages and interfaces are not served: {self._problem.message}"
            found.append(ErrorBody(code=self._problem.code, message=told, remedy=self._problem.remedy))
        return (*found, *(self._bridge.problems() if self._bridge is not None else ()))

    async def open(self, house: House) -> None:
        """Begin to serve; returns when what can be served at once is."""
        self._lasting = True
        if self._policy.http.enabled:
            listener = self._try_to_listen()
            self._keep(self._serve(house, listener), "pages and interfaces")
        if self._policy.signal is not None:
            from bascule.channels.signal.bridge import Bridge  # noqa: PLC0415 -- what one verb's gateway never pays for
            from bascule.channels.signal.parts import Surroundings  # noqa: PLC0415 -- as above

            bridge = Bridge(house.office, self._policy, Surroundings(house.database, house.clock, self._log))
            self._bridge = bridge
            self._keep(bridge.run(), "Signal")

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a surface beside the others; if it breaks, say so, and let the rest go on."""

        def ended(task: asyncio.Task[None]) -> None:
            if task.cancelled() or task.exception() is None:
                return
            broke = f"{name} ended with {type(task.exception()).__name__}: {task.exception()}"
            self._log(broke)
            self._broken.append(ErrorBody(code="surface_ended", message=f"critical: {broke}", remedy=_RESTART))

        task = asyncio.ensure_future(work)
        task.add_done_callback(ended)
        self._tasks.append(task)

    def _try_to_listen(self) -> Listener | None:
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

    async def _serve(self, house: House, listener: Listener | None) -> None:
        from bascule.channels.api.routes import add as interfaces  # noqa: PLC0415 -- as above
        from bascule.channels.dashboard.pages import add as pages  # noqa: PLC0415 -- as above
        from bascule.channels.web.serving import serve  # noqa: PLC0415 -- as above
        from bascule.channels.web.site import build  # noqa: PLC0415 -- as above

        try:
            built = build(
                house.office, house.doors, self._policy, (interfaces, partial(pages, passkeys=house.passkeys))
            )
            while listener is None:
                await asyncio.sleep(RETRY_SECONDS)
                listener = self._try_to_listen()
            self._log(f"pages and interfaces: http://{_literal(self._policy.http.host)}:{self._policy.http.port}")
            await serve(built, listener)
        finally:
            if listener is not None:
                listener.close()

    async def close(self) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
