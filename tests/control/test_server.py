from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from tests.control.simulated import SimulatedService, simulated_server

from bascule.control import place
from bascule.control.access import Access
from bascule.control.protocol import MAX_ANSWER, Decoder, encode
from bascule.control.server import MAX_REQUESTS


class Peer:
    """The other end, frame by frame."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = Decoder(MAX_ANSWER)
        self.frames: list[dict[str, Any]] = []

    async def get(self) -> dict[str, Any] | None:
        loop = asyncio.get_running_loop()
        while not self.frames:
            try:
                chunk = await asyncio.wait_for(loop.sock_recv(self.connection, 1 << 16), 10)
            except ConnectionError:
                return None
            if not chunk:
                return None
            self.frames += self.decoder.feed(chunk)
        return self.frames.pop(0)

    async def put(self, number: int, method: str, **params: Any) -> None:
        await self.raw(encode({"id": number, "method": method, "params": params}, MAX_ANSWER))

    async def raw(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.connection, data)


CALL = {
    "agent": "bruba-main", "args_text": "{}", "session": None, "dry_run": False, "wait": 0, "as_operator": False,
}  # fmt: skip


def talk(scene: Any, service: SimulatedService | None = None, **kind: Any) -> Any:
    async def body() -> Any:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        held = service or SimulatedService()
        serving = asyncio.ensure_future(simulated_server(held, **kind).attend(theirs))
        try:
            return await scene(Peer(ours), held)
        finally:
            ours.close()
            await asyncio.wait_for(serving, 10)

    return asyncio.run(body())


def test_hello_then_answers() -> None:
    async def scene(peer: Peer, service: SimulatedService) -> None:
        assert (await peer.get())["hello"]["protocol"] == 1
        await peer.put(1, "call", **CALL, tool="fine")
        answer = await peer.get()
        assert (answer["id"], answer["result"]["outcome"]["content"]) == (1, "hello\n")
        assert service.callers[0].uid == os.getuid()
        assert service.callers[0].pid == os.getpid()

    talk(scene)


@pytest.mark.parametrize("agents", [frozenset(), frozenset({os.getuid()})])
def test_a_stranger_hears_why_and_nothing_else(agents: frozenset[int], monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = struct.pack("iII", 1, 4_000_000, 0)
    monkeypatch.setattr(socket.socket, "getsockopt", lambda *_: stranger)

    async def scene(peer: Peer, service: SimulatedService) -> None:
        assert (await peer.get())["refused"]["code"] == "peer_refused"
        assert await peer.get() is None
        assert service.calls == []

    talk(scene, access=Access(1000, 1001), agents=agents)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another account")
def test_another_account_is_refused_by_the_kernels_word(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    listener = place.listen(tmp_path)
    for name in (tmp_path, tmp_path / "run", tmp_path / "run" / "control.sock"):
        name.chmod(0o777)
    run = os.open(tmp_path / "run", os.O_RDONLY)

    async def body() -> tuple[bytes, bytes]:
        serving = asyncio.ensure_future(simulated_server(SimulatedService(), Access(5, 6)).serve(listener))
        found = []
        for uid in (54_321, 5):
            program = (
                "import os,socket,sys;os.setgid(1);os.setuid(int(sys.argv[1]));s=socket.socket(socket.AF_UNIX);"
                f"s.connect('/proc/self/fd/{run}/control.sock');sys.stdout.buffer.write(s.recv(4096))"
            )
            child = await asyncio.create_subprocess_exec(
                "/usr/bin/env", "python3", "-c", program, str(uid), stdout=asyncio.subprocess.PIPE, pass_fds=[run]
            )
            found.append((await asyncio.wait_for(child.communicate(), 20))[0])
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return found[0], found[1]

    refused, welcome = asyncio.run(body())
    os.close(run)
    listener.close()
    assert b"peer_refused" in refused
    assert b'"hello"' in welcome


def test_a_turn_streams_and_its_question_is_answered_on_the_same_connection() -> None:
    async def scene(peer: Peer, service: SimulatedService) -> None:
        await peer.get()
        await peer.put(1, "send", agent="bruba-main", text="ask", session=None)
        events = [(await peer.get())["event"] for _ in range(3)]
        assert [event["event"] for event in events] == ["text", "text", "approval"]
        await peer.put(2, "approvals_approve", ref="apr_1")
        rest = [await peer.get() for _ in range(4)]
        assert {frame["id"] for frame in rest} == {1, 2}
        assert [frame for frame in rest if frame["id"] == 1][-1] == {"id": 1, "result": None}

    talk(scene)


@pytest.mark.parametrize("how", ["cancel", "leave", "half_close"])
def test_a_turn_ends_with_its_asker(how: str) -> None:
    service = SimulatedService()

    async def scene(peer: Peer, held: SimulatedService) -> None:
        await peer.get()
        await peer.put(1, "send", agent="bruba-main", text="wait", session=None)
        await peer.get()
        await peer.get()
        assert held.turns_ended == 0
        if how == "cancel":
            await peer.raw(encode({"id": 1, "cancel": True}, 100))
            assert (await peer.get())["error"]["code"] == "cancelled"
            assert held.turns_ended == 1
        elif how == "half_close":
            peer.connection.shutdown(socket.SHUT_WR)
            assert await peer.get() is None

    talk(scene, service)
    assert service.turns_ended == 1


def test_an_unexpected_error_is_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(peer: Peer, service: SimulatedService) -> None:
        await peer.get()
        await peer.put(1, "call", **CALL, tool="broken")
        answer = await peer.get()
        assert answer["error"]["code"] == "internal_error"
        assert "secret" not in str(answer)
        await peer.put(2, "call", **CALL, tool="fine")
        assert (await peer.get())["result"]["decision"]["effect"] == "allow"

    with caplog.at_level(logging.ERROR, "bascule.control"):
        talk(scene)
    assert "secret detail" in caplog.text


def test_an_answer_too_long_to_send_is_an_error_and_the_connection_lives() -> None:
    async def scene(peer: Peer, service: SimulatedService) -> None:
        await peer.get()
        await peer.put(1, "call", **CALL, tool="huge")
        assert (await peer.get())["error"]["code"] == "frame_too_long"
        await peer.put(2, "status")
        assert (await peer.get())["id"] == 2

    talk(scene)


def test_a_bad_request_is_answered_and_the_connection_lives() -> None:
    async def scene(peer: Peer, service: SimulatedService) -> None:
        await peer.get()
        await peer.put(1, "no_such_method")
        assert (await peer.get())["error"]["code"] == "method_unknown"
        await peer.put(2, "call", **(CALL | {"wait": 1e9}), tool="fine")
        assert (await peer.get())["error"]["code"] == "request_invalid"
        assert service.calls == []
        await peer.put(3, "status")
        assert "result" in await peer.get()

    talk(scene)


def test_a_broken_frame_ends_the_connection() -> None:
    async def scene(peer: Peer, service: SimulatedService) -> None:
        await peer.get()
        await peer.raw(b"\xff\xff\xff\xff")
        assert (await peer.get())["error"]["code"] == "frame_too_long"
        assert await peer.get() is None

    talk(scene)


def test_requests_under_way_are_bounded_and_ids_are_not_reused() -> None:
    async def scene(peer: Peer, service: SimulatedService) -> None:
        await peer.get()
        for number in range(MAX_REQUESTS):
            await peer.put(number, "call", **CALL, tool="slow")
        await peer.put(99, "status")
        assert (await peer.get())["error"]["code"] == "request_invalid"
        await peer.raw(encode({"id": 0, "cancel": True}, 100))
        assert (await peer.get())["error"]["code"] == "cancelled"
        await peer.put(1, "status")
        assert (await peer.get())["error"]["code"] == "request_invalid"
        await peer.put(100, "status")
        assert (await peer.get())["id"] == 100

    talk(scene)


def test_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bascule.control.server.MAX_CONNECTIONS", 2)
    listener = place.listen(tmp_path)

    async def body() -> list[str]:
        serving = asyncio.ensure_future(simulated_server(SimulatedService()).serve(listener))
        peers = []
        for _ in range(3):
            dialled = place.dial(tmp_path)
            dialled.setblocking(False)
            peers.append(Peer(dialled))
        said = [next(iter(await peer.get())) for peer in peers]
        peers[0].connection.close()
        await asyncio.sleep(0.05)
        late = place.dial(tmp_path)
        late.setblocking(False)
        said.append(next(iter(await Peer(late).get())))
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert await peers[1].get() is None, "the end of serving ends every connection"
        for peer in peers:
            peer.connection.close()
        late.close()
        return said

    assert asyncio.run(body()) == ["hello", "hello", "refused", "hello"]
    listener.close()


async def watched(peer: Peer) -> None:
    await peer.get()
    await peer.put(1, "approvals_watch")
    assert (await peer.get())["event"]["approval"]["id"] == "apr_1"


def test_a_watcher_hears_of_what_happens_on_the_same_connection_and_elsewhere() -> None:
    async def scene(peer: Peer, service: SimulatedService) -> None:
        await watched(peer)
        service.ask("apr_2")
        assert (await peer.get())["event"]["approval"]["id"] == "apr_2"
        service.settle("apr_2", "denied", "pat (signal)")
        assert (await peer.get())["event"] == {
            "event": "answered", "id": "apr_2", "state": "denied", "answered_by": "pat (signal)",
        }  # fmt: skip
        await peer.put(2, "approvals_grant", ref="apr_1", **GRANT)
        both = [await peer.get(), await peer.get()]
        assert {frame["id"] for frame in both} == {1, 2}
        assert service.wider[0].minutes == 5

    talk(scene)


GRANT = {"extent": "exact", "this_session": False, "minutes": 5, "uses": None, "args": None, "under": None}


@pytest.mark.parametrize("how", ["cancel", "leave", "half_close"])
def test_a_watch_ends_with_its_watcher(how: str) -> None:
    service = SimulatedService()

    async def scene(peer: Peer, held: SimulatedService) -> None:
        await watched(peer)
        if how == "cancel":
            await peer.raw(encode({"id": 1, "cancel": True}, 100))
            assert (await peer.get())["error"]["code"] == "cancelled"
            assert held.watchers == []
            await peer.put(2, "status")
            assert "result" in await peer.get(), "the connection lives on"
        elif how == "half_close":
            peer.connection.shutdown(socket.SHUT_WR)
            assert await peer.get() is None

    talk(scene, service)
    assert (service.watchers, service.watches_ended) == ([], 1)


def test_a_watcher_that_reads_nothing_delays_no_answer_and_not_the_end(tmp_path: Path) -> None:
    listener = place.listen(tmp_path)
    service = SimulatedService()

    def dialled() -> Peer:
        connection = place.dial(tmp_path)
        connection.setblocking(False)
        return Peer(connection)

    async def body() -> None:
        serving = asyncio.ensure_future(simulated_server(service).serve(listener))
        stopped, lively = dialled(), dialled()
        await watched(stopped)
        await lively.get()
        for number in range(2000):
            service.ask(f"apr_many_{number}", summary="x" * 1000)
        for number in range(20):
            await lively.put(number, "approvals_show", ref=f"apr_many_{number}")
            assert (await lively.get())["result"]["id"] == f"apr_many_{number}"
        assert service.watchers[0].qsize() > 1000, "nobody has taken them"
        serving.cancel()
        await asyncio.wait_for(asyncio.gather(serving, return_exceptions=True), 30)
        assert (service.watchers, service.watches_ended) == ([], 1)
        for peer in (stopped, lively):
            peer.connection.close()

    asyncio.run(body())
    listener.close()


def test_a_watcher_that_is_gone_is_no_failure_of_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    service = SimulatedService()

    async def scene(peer: Peer, held: SimulatedService) -> None:
        await watched(peer)
        peer.connection.close()
        for number in range(200):
            held.ask(f"apr_many_{number}", summary="x" * 10_000)

    with caplog.at_level(logging.INFO):
        talk(scene, service)
    assert service.watches_ended == 1
    assert [record.message for record in caplog.records if record.name != "asyncio"] == []


def test_a_verb_that_cannot_be_let_in_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bascule.control.server.RETRY_SECONDS", 0.01)
    listener = place.listen(tmp_path)

    async def body() -> str:
        loop, failed = asyncio.get_running_loop(), 0
        accept = loop.sock_accept

        async def exhausted(sock: socket.socket) -> tuple[socket.socket, Any]:
            nonlocal failed
            failed += 1
            if failed <= 3:
                raise OSError(24, "Too many open files")
            return await accept(sock)

        monkeypatch.setattr(loop, "sock_accept", exhausted)
        serving = asyncio.ensure_future(simulated_server(SimulatedService()).serve(listener))
        dialled = place.dial(tmp_path)
        dialled.setblocking(False)
        said = next(iter(await asyncio.wait_for(Peer(dialled).get(), 10)))
        assert failed > 3
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        dialled.close()
        return said

    assert asyncio.run(body()) == "hello"
    listener.close()
