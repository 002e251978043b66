"""The client against workers that answer badly, late, too much or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sandboxes.test_hello import GOOD
from tests.sandboxes.worker.started import place, started

from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.sandboxes.files import MALFORMED, UNAVAILABLE, WorkerFiles, connect
from bascule.sandboxes.hello import Root, Setup, WorkerLimits
from bascule.sandboxes.worker.frames import pack, unpack

SETUP = Setup((Root("/workspace", writable=True),), "/canary", WorkerLimits(read_bytes=1000, write_bytes=1000))
A, B = hashlib.sha256(b"a").hexdigest().encode(), hashlib.sha256(b"b").hexdigest().encode()

Use = Callable[[WorkerFiles], Awaitable[object]]


async def against(answers: list[bytes], use: Use, *, greeting: bytes = pack(GOOD), seconds: float = 20.0) -> object:
    """Connect to a worker that answers each message with the next of ``answers``, then goes away; return what comes of it."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    async def worker() -> None:
        loop = asyncio.get_running_loop()
        for answer in [greeting, *answers]:
            received = b""
            while len(received) < 4 or len(received) < 4 + int.from_bytes(received[:4], "big"):
                more = await loop.sock_recv(theirs, 65536)
                if not more:
                    return
                received += more
            unpack(received[4:])
            await loop.sock_sendall(theirs, answer)
        theirs.close()

    task = asyncio.create_task(worker())
    try:
        files = await connect(ours, SETUP, seconds=seconds, operation_seconds=seconds)
        try:
            return await use(files)
        finally:
            assert files.hello.kernel_uid == os.getuid()
            files.close()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        theirs.close()


def outcome(answers: list[bytes], use: Use, **options: object) -> object:
    try:
        return asyncio.run(against(answers, use, **options))
    except BasculeError as error:
        return error.code


def read(files: WorkerFiles) -> Awaitable[object]:
    return files.read("/workspace/x", offset=0, limit=10)


def write(files: WorkerFiles) -> Awaitable[object]:
    return files.write("/workspace/x", b"a", append=False)


def append(files: WorkerFiles) -> Awaitable[object]:
    return files.write("/workspace/x", b"a", append=True)


def edit(files: WorkerFiles) -> Awaitable[object]:
    return files.edit("/workspace/x", "a", "b", every=False, expected_sha256=A.decode())


def identify(files: WorkerFiles) -> Awaitable[object]:
    return files.identify("/workspace/x")


def glob(files: WorkerFiles) -> Awaitable[object]:
    return files.glob("*.md", limit=2)


@pytest.mark.parametrize(
    ("use", "answer", "result"),
    [
        (write, [b"ok", A], A.decode()),
        (append, [b"ok", B], B.decode()),
        (edit, [b"ok", B], B.decode()),
        (identify, [b"ok", b""], ""),
        (identify, [b"ok", A], A.decode()),
        (glob, [b"ok", b"0", b""], ()),
        (glob, [b"ok", b"2", b"./a\n.md\0./b.md"], ("./a\n.md", "./b.md")),
        *((read, [b"no", code.encode()], code) for code in MALFORMED | UNAVAILABLE),
    ],
)
def test_good_answers(use, answer, result):
    assert outcome([pack(answer)], use) == result


def test_a_read():
    found = outcome([pack([b"ok", b"1", A, b"a"])], read)
    assert (found.content, found.size, found.sha256, found.truncated) == (b"a", 1, A.decode(), False)
    cut = outcome([pack([b"ok", b"99", B, b"0123456789"])], read)
    assert (cut.content, cut.size, cut.truncated) == (b"0123456789", 99, True)


LIES = {
    "no field": (read, []),
    "neither yes nor no": (read, [b"maybe"]),
    "too few fields": (read, [b"ok", b"1", A]),
    "too many fields": (read, [b"ok", b"1", A, b"a", b""]),
    "more than asked for": (read, [b"ok", b"11", A, b"0123456789a"]),
    "less than there is": (read, [b"ok", b"9", A, b"01"]),
    "size beyond the limit": (read, [b"ok", b"9" * 15, A, b"0123456789"]),
    "a size that is none": (read, [b"ok", b"-1", A, b""]),
    "a hash that is none": (read, [b"ok", b"99", b"A" * 64, b"0123456789"]),
    "another content's hash": (read, [b"ok", b"1", B, b"a"]),
    "another content written": (write, [b"ok", B]),
    "no hash after append": (append, [b"ok", b""]),
    "no hash after edit": (edit, [b"ok", b"\n" + B[1:]]),
    "half a hash": (identify, [b"ok", A[:32]]),
    "a code nobody knows": (read, [b"no", b"file_on_fire"]),
    "escapes for a code": (read, [b"no", b"\x1b[31m\xff"]),
    "no code": (read, [b"no"]),
    "wrong count": (glob, [b"ok", b"2", b"./a.md"]),
    "more matches than asked for": (glob, [b"ok", b"3", b"./a.md\0./b.md\0./c.md"]),
    "matches out of order": (glob, [b"ok", b"2", b"./b.md\0./a.md"]),
    "a match twice": (glob, [b"ok", b"2", b"./a.md\0./a.md"]),
    "a match that is none": (glob, [b"ok", b"1", b"./a.txt"]),
    "a match elsewhere": (glob, [b"ok", b"1", b"/etc/a.md"]),
    "a match that climbs": (glob, [b"ok", b"1", b"./../a.md"]),
    "an option": (glob, [b"ok", b"1", b"--a.md"]),
    "a hidden match": (glob, [b"ok", b"1", b"./.a.md"]),
    "no text": (glob, [b"ok", b"1", b"./\xff.md"]),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_makes_no_sense_ends_the_conversation(lie):
    use, answer = LIES[lie]

    async def twice(files: WorkerFiles) -> list[str]:
        codes = []
        for _ in range(2):
            with pytest.raises(Unavailable) as refused:
                await use(files)
            codes.append(refused.value.code)
            assert files.dead
        return codes

    assert outcome([pack(answer), pack(answer)], twice) == ["worker_garbled", "worker_dead"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "worker_dead"),
        (b"\0\0", "worker_dead"),
        (b"\0\0\0\x50\0\1", "worker_dead"),
        (b"\xff\xff\xff\xff" + bytes(1000), "worker_garbled"),
        ((1 << 20).to_bytes(4, "big") + bytes(1000), "worker_garbled"),
        (b"\0\0\0\1\0", "worker_garbled"),
        (pack([b"ok", b"1", A, b"a"]) + b"\0", "worker_garbled"),
        (pack([b"ok", b"1", A, b"a"]) * 2, "worker_garbled"),
    ],
)
def test_broken_frames(answer, code):
    assert outcome([answer], read) == code


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(st.one_of(st.sampled_from([b"ok", b"no", A, b"1", b"./a.md"]), st.binary(max_size=9)), max_size=6).map(
            pack
        ),
    )
)
def test_no_answer_has_another_effect_than_a_result_or_an_error(answer):
    result = outcome([answer], glob)
    assert isinstance(result, tuple) or result in {"worker_dead", "worker_garbled", "worker_timeout"}


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_no_greeting_but_a_hello_is_taken(greeting):
    assert outcome([], identify, greeting=greeting) in {"worker_dead", "worker_garbled"}


def test_silence_is_a_time_out_and_the_end():
    async def silent(channel: socket.socket) -> str:
        try:
            await connect(channel, SETUP, seconds=0.05)
        except Unavailable as error:
            return error.code
        return "connected"

    ours, theirs = socket.socketpair()
    assert asyncio.run(silent(ours)) == "worker_timeout"
    assert ours.fileno() == -1
    theirs.close()


def test_a_late_answer_is_never_taken_for_the_next_one():
    async def run() -> tuple[str, str]:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        connecting = asyncio.create_task(connect(ours, SETUP, seconds=20, operation_seconds=0.05))
        loop = asyncio.get_running_loop()
        await loop.sock_recv(theirs, 65536)
        await loop.sock_sendall(theirs, pack(GOOD))
        files = await connecting
        codes = []
        for _ in range(2):
            with pytest.raises(Unavailable) as refused:
                await identify(files)
            codes.append(refused.value.code)
        theirs.close()
        return codes[0], codes[1]

    assert asyncio.run(run()) == ("worker_timeout", "worker_dead")


def test_a_cancelled_call_ends_the_conversation():
    async def run() -> tuple[bool, str]:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        connecting = asyncio.create_task(connect(ours, SETUP, seconds=20))
        loop = asyncio.get_running_loop()
        await loop.sock_recv(theirs, 65536)
        await loop.sock_sendall(theirs, pack(GOOD))
        files = await connecting
        call = asyncio.create_task(files.identify("/workspace/x"))
        await loop.sock_recv(theirs, 65536)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(Unavailable) as refused:
            await files.identify("/workspace/y")
        theirs.close()
        return files.dead, refused.value.code

    assert asyncio.run(run()) == (True, "worker_dead")


REFUSED = {
    "a relative path": (lambda files: files.identify("x"), "path_not_plain"),
    "dots": (lambda files: files.identify("/workspace/../etc"), "path_not_plain"),
    "a double slash": (lambda files: files.identify("//workspace/x"), "path_not_plain"),
    "a NUL": (lambda files: files.identify("/workspace/\0"), "path_not_plain"),
    "a long path": (lambda files: files.identify("/" + "a" * 5000), "path_not_plain"),
    "no text": (lambda files: files.identify("/workspace/\udcff"), "argument_invalid"),
    "a negative offset": (lambda files: files.read("/workspace/x", offset=-1, limit=1), "argument_invalid"),
    "too much": (lambda files: files.write("/workspace/x", bytes(1001), append=False), "file_too_large"),
    "too much to edit": (
        lambda files: files.edit("/x", "a" * 600, "b" * 600, every=True, expected_sha256=A.decode()),
        "file_too_large",
    ),
    "nothing to replace": (
        lambda files: files.edit("/x", "", "b", every=True, expected_sha256=A.decode()),
        "argument_invalid",
    ),
    "no hash to compare": (
        lambda files: files.edit("/x", "a", "b", every=True, expected_sha256=""),
        "argument_invalid",
    ),
    "a pattern that climbs": (lambda files: files.glob("../*", limit=1), "pattern_refused"),
    "a pattern that is no text": (lambda files: files.glob("\udcff*", limit=1), "argument_invalid"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_before_asking_leaves_the_worker_alive(name):
    call, code = REFUSED[name]

    async def run(files: WorkerFiles) -> str:
        with pytest.raises(Malformed) as refused:
            await call(files)
        await files.ping()
        return refused.value.code

    assert outcome([pack([b"ok"])], run) == code


def test_messages_are_one_line_without_control_characters():
    async def run(files: WorkerFiles) -> str:
        with pytest.raises(Unavailable) as refused:
            await files.identify("/workspace/\x1b[31m\n\u202e" + "x" * 900)
        return str(refused.value)

    message = outcome([pack([b"no", b"file_denied"])], run)
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 400


@pytest.mark.live
def test_calls_at_the_same_time_wait_their_turn():
    async def run(base: str) -> None:
        async with started(Root(base), Root(base + "/w", writable=True)) as worker:
            path = base + "/w/log"
            await asyncio.gather(*(worker.files.write(path, b"%03d\n" % each, append=True) for each in range(50)))
            lines = (await worker.files.read(path, offset=0, limit=1000)).content.split()
            assert sorted(lines) == [b"%03d" % each for each in range(50)]

    with place() as base:
        asyncio.run(run(base))


@pytest.mark.live
def test_large_contents_cross_whole():
    content = os.urandom(8 << 20)

    async def run(base: str) -> None:
        async with started(Root(base), Root(base + "/w", writable=True)) as worker:
            assert await worker.files.write(base + "/w/x", content, append=False) == hashlib.sha256(content).hexdigest()
            assert (await worker.files.read(base + "/w/x", offset=0, limit=8 << 20)).content == content

    with place() as base:
        asyncio.run(run(base))


@pytest.mark.live
def test_a_killed_worker_is_dead():
    async def run(base: str) -> None:
        async with started(Root(base), status=-9) as worker:
            worker.process.kill()
            with pytest.raises(Unavailable) as refused:
                await worker.files.ping()
            assert refused.value.code == "worker_dead"
            assert worker.files.dead

    with place() as base:
        asyncio.run(run(base))


async def _idle(act: Callable[[socket.socket], object]) -> bool:
    """Connect to a worker that does something while nobody asks it; return whether it counts as dead."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(pack(GOOD))
        files = await connect(ours, SETUP, seconds=20, operation_seconds=20)
        try:
            assert not files.dead
            act(theirs)
            return files.dead
        finally:
            files.close()


@pytest.mark.parametrize(
    ("act", "dead"),
    [
        (lambda _: None, False),
        (lambda theirs: theirs.shutdown(socket.SHUT_WR), True),
        (lambda theirs: theirs.sendall(b"\0"), True),
        (lambda theirs: theirs.sendall(pack([b"ok"])), True),
    ],
)
def test_a_worker_that_goes_or_speaks_unasked_is_dead(act: Callable[[socket.socket], object], *, dead: bool) -> None:
    assert asyncio.run(_idle(act)) is dead


def test_a_worker_is_worn_once_its_operations_took_so_long() -> None:
    async def use(files: WorkerFiles) -> tuple[bool, ...]:
        before = files.worn(1e-9)
        await files.ping()
        return before, files.worn(1e-9), files.worn(3600.0)

    assert outcome([pack([b"ok"])], use) == (False, True, False)


def test_a_worker_at_work_is_not_worn() -> None:
    async def use(files: WorkerFiles) -> bool:
        await files.ping()
        at_work = asyncio.create_task(files.ping())
        await asyncio.sleep(0)
        found = files.worn(1e-9)
        await at_work
        return found

    assert outcome([pack([b"ok"]), pack([b"ok"])], use) is False
