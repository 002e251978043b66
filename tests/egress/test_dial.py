"""An allowed name becomes a connection to an address that was checked, or none."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import httpcore2
import pytest
from tests.egress.ssrf import INSIDE_4, INSIDE_6
from tests.egress.world import Resolver, listening

from bascule.core.errors import BasculeError, NotPermitted, Unavailable
from bascule.egress.dial import MOST_ADDRESSES, Dialer, SystemResolver
from bascule.egress.pinned import PinnedBackend


def checked(dialer: Dialer, host: str, *, private: bool = False) -> tuple[str, ...]:
    return asyncio.run(dialer.checked(host, 443, private=private))


@pytest.mark.parametrize("address", [*INSIDE_4, *INSIDE_6, "fe80::1%eth0", "x"])
def test_a_name_with_one_inside_address_is_refused_whatever_else_it_has(address: str) -> None:
    for answer in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
        with pytest.raises(NotPermitted) as refused:
            checked(Dialer(Resolver({"evil.test": [answer]})), "evil.test")
        assert refused.value.code == "address_refused"
        assert address not in refused.value.message


def test_a_name_is_asked_for_once_and_absolutely() -> None:
    resolver = Resolver({"a.test": [["93.184.216.34", "1.1.1.1"], ["127.0.0.1"]], "localhost": [["127.0.0.1"]]})
    assert checked(Dialer(resolver), "a.test") == ("93.184.216.34", "1.1.1.1")
    assert checked(Dialer(resolver), "localhost", private=True) == ("127.0.0.1",)
    assert checked(Dialer(resolver), "10.0.0.7", private=True) == ("10.0.0.7",)
    assert resolver.asked == ["a.test.", "localhost"]


def test_a_name_nobody_knows_and_one_with_too_many_addresses() -> None:
    many = [f"93.184.{number >> 8}.{number & 255}" for number in range(MOST_ADDRESSES + 1)]
    for resolver in (Resolver(), Resolver({"a.test": [[]]}), Resolver({"a.test": [many]})):
        with pytest.raises(Unavailable) as refused:
            checked(Dialer(resolver), "a.test")
        assert refused.value.code == "host_unresolved"


def test_a_resolver_that_never_answers_is_given_up() -> None:
    async def never(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(Unavailable) as refused:
        checked(Dialer(never, resolve_seconds=0.01), "a.test")
    assert refused.value.code == "host_unresolved"


def test_the_next_address_is_tried() -> None:
    async def scene() -> None:
        async with listening() as listener:
            dialer = Dialer(Resolver())
            (_, writer), address = await dialer.open(["127.0.0.9", "127.0.0.1"], listener.port)
            assert address == "127.0.0.1"
            assert writer.get_extra_info("peername")[:2] == ("127.0.0.1", listener.port)
            writer.close()
            with pytest.raises(Unavailable) as refused:
                await dialer.open(["127.0.0.9"], listener.port)
            assert refused.value.code == "host_unreachable"

    asyncio.run(scene())


def test_a_look_up_that_no_thread_can_be_started_for_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        dialer = Dialer(SystemResolver(1), resolve_seconds=5)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", lambda _thread: (_ for _ in ()).throw(RuntimeError("no more")))
            for _ in range(3):
                with pytest.raises(Unavailable) as refused:
                    await dialer.checked("localhost", 80, private=True)
                assert refused.value.code == "host_unresolved"
        assert await dialer.checked("localhost", 80, private=True)

    asyncio.run(scene())


def test_the_machines_own_resolver() -> None:
    resolver = SystemResolver(1)
    found = asyncio.run(resolver("localhost", 80))
    assert {"127.0.0.1", "::1"} & set(found)
    assert len(set(found)) == len(found)


def test_a_slow_name_is_waited_for_by_nobody_and_takes_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, asked = threading.Event(), []

    def slow(host: str, *_rest: object, **_named: object) -> list[Any]:
        asked.append(host)
        answer.wait(20)
        return [(0, 0, 0, "", ("93.184.216.34", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def scene() -> None:
        resolver = SystemResolver(1)
        dialer = Dialer(resolver, resolve_seconds=0.05)
        for name in ("one.test", "two.test"):
            with pytest.raises(Unavailable) as refused:
                await dialer.checked(name, 443)
            assert refused.value.code == "host_unresolved"
        assert asked == ["one.test."]  # the second never got a thread
        answer.set()
        assert await resolver("three.test", 443) == ("93.184.216.34",)

    asyncio.run(scene())


def test_the_client_connects_to_nothing_but_what_was_judged() -> None:
    async def scene() -> None:
        async with listening() as listener:
            backend = PinnedBackend(Dialer(Resolver()), "a.test", listener.port, ("127.0.0.9", "127.0.0.1"))
            for host, port in (("b.test", listener.port), ("a.test", listener.port + 1), ("127.0.0.1", listener.port)):
                with pytest.raises(NotPermitted):
                    await backend.connect_tcp(host, port)
            with pytest.raises(NotPermitted):
                await backend.connect_tcp("a.test", listener.port, local_address="127.0.0.1")
            with pytest.raises(NotPermitted):
                await backend.connect_unix_socket("/run/x")
            assert listener.connections == 0
            stream = await backend.connect_tcp("a.test", listener.port)
            assert backend.address == "127.0.0.1"
            assert isinstance(stream, httpcore2.AsyncNetworkStream)
            await stream.aclose()
            with pytest.raises(BasculeError) as refused:
                await PinnedBackend(Dialer(Resolver()), "a.test", 1, ("127.0.0.1",)).connect_tcp("a.test", 1)
            assert refused.value.code == "host_unreachable"

    asyncio.run(scene())
