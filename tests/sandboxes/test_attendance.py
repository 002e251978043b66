"""A listener's way to whoever answers there: taken over or closed, never left."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest

from bascule.core.box import BoxKey, PipelineRequest, ProgramRun
from bascule.core.confinement import Limits, Network
from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId, cli_session
from bascule.core.plan import Program, ProgramKind
from bascule.sandboxes.attendance import Attendance, check_ways

ONE = AgentId("one")


class Holding:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.ended = 0

    def attend(self, agent: AgentId, listener: int) -> Callable[[], None]:
        assert agent == ONE
        self.held.append(listener)
        return self._end

    def _end(self) -> None:
        self.ended += 1


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def sending(attendance: Attendance, count: int) -> None:
    """Send so many listeners, as the launcher does."""
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    with socket.socket(fileno=os.dup(attendance.descriptor)) as out:
        socket.send_fds(out, [b"w"], [one.fileno() for one in made])
    for one in made:
        one.close()


def test_the_listener_is_handed_over_and_nothing_else_stays_open() -> None:
    way, before = Holding(), len(descriptors())
    with Attendance(way, ONE) as attendance:
        sending(attendance, 1)
        end = attendance.begin()
    assert len(descriptors()) == before + 1
    with socket.socket(fileno=way.held[0]) as listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert not os.get_inheritable(listener.fileno())
    end()
    assert (way.ended, len(descriptors())) == (1, before)


@pytest.mark.parametrize("count", [0, 2, 3])
def test_anything_but_one_listener_is_closed_and_refused(count: int) -> None:
    way, before = Holding(), len(descriptors())
    with Attendance(way, ONE) as attendance:
        if count:
            sending(attendance, count)
        with pytest.raises(Unavailable) as refused:
            attendance.begin()
    assert (refused.value.code, way.held, len(descriptors())) == ("way_lost", [], before)


def test_a_listener_nobody_took_goes_with_its_start() -> None:
    before = len(descriptors())
    with Attendance(Holding(), ONE) as attendance:
        sending(attendance, 1)
    assert len(descriptors()) == before


def request(*networks: Network) -> PipelineRequest:
    program = Program("true", "/usr/bin/true", ProgramKind.NATIVE, "0" * 64)
    runs = tuple(ProgramRun(("true",), program, network=network) for network in networks)
    return PipelineRequest(BoxKey(ONE, cli_session(ONE)), runs, b"", Limits())


def test_what_needs_no_network_needs_nobody() -> None:
    check_ways(request(Network.NONE, Network.NONE), None)
    check_ways(request(Network.NONE, Network.PROXY), Holding())
    with pytest.raises(Unavailable) as refused:
        check_ways(request(Network.NONE, Network.PROXY), None)
    assert refused.value.code == "way_closed"


def test_no_box_is_given_more_than_the_proxy() -> None:
    with pytest.raises(Unavailable) as refused:
        check_ways(request(Network.ANY), Holding())
    assert refused.value.code == "network_open"
    check_ways(request(Network.ANY), None, bridged=True)
    with pytest.raises(Unavailable):
        check_ways(request(Network.PROXY), None, bridged=True)
