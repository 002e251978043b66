"""The gateway's side of a way out: the listener of a box's own network comes here and is handed to who answers there.

Stops: a box with a way out that nobody answers for, an answer outliving its box, and a listener's descriptor left open
by a start that failed. The socket says whose box it is: nobody else is in that network. Does not judge what is asked
for there.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bascule.core.box import PipelineRequest
from bascule.core.confinement import Network
from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.ports import WayOut
from bascule.sandboxes.warden.channel import receive


def check_ways(request: PipelineRequest, way: WayOut | None, *, bridged: bool = False) -> None:
    """Refuse a pipeline whose boxes would need a network that cannot be had.

    Args:
        request: the pipeline.
        way: who answers at the proxy, if anybody does.
        bridged: policy puts the agent's boxes on a bridge, and they can be.

    Raises:
        Unavailable: nobody answers, or more is asked for than a box is ever given.
    """
    for run in request.runs:
        if run.network is Network.ANY and not bridged:
            raise Unavailable("network_open", "a box is given no network but the proxy", "set sandbox.network to proxy")
        if run.network is Network.PROXY and way is None:
            raise Unavailable("way_closed", "no proxy answers for boxes here", "start the gateway")


class Attendance:
    """One listener on its way here. Use as a context, which closes whatever was not taken over."""

    def __init__(self, way: WayOut, agent: AgentId) -> None:
        """Expect a listener for ``agent``, to be answered by ``way``."""
        self._way = way
        self._agent = agent
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(0)

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both ends; a listener that was sent and not taken goes with them."""
        self._ours.close()
        self._theirs.close()

    @property
    def descriptor(self) -> int:
        """The end that goes to the warden, which stays the caller's."""
        return self._theirs.fileno()

    def begin(self) -> Callable[[], None]:
        """Take the listener, which has been sent once the box is said to stand, and have it answered; return the end.

        Raises:
            Unavailable: none came, or nobody answers for this agent.
        """
        try:
            received = receive(self._ours, 16, 1)
        except OSError:
            raise _lost() from None
        if received.cut or len(received.files) != 1:
            for descriptor in received.files:
                os.close(descriptor)
            raise _lost()
        return self._way.attend(self._agent, received.files[0])


def _lost() -> Unavailable:
    return Unavailable("way_lost", "the box came up without its way out", "make the call again")
