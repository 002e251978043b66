from __future__ import annotations

import os
import socket
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sandboxes.worker.started import PYTHON, SOURCE, place

from bascule.sandboxes.hello import Root, Setup
from bascule.sandboxes.worker.argv import start_argv
from bascule.sandboxes.worker.frames import FrameError, pack, unpack
from bascule.sandboxes.worker.main import Limits, Worker, read_setup
from bascule.sandboxes.worker.roots import Root as WorkerRoot
from bascule.sandboxes.worker.roots import Roots

SETUP = Setup((Root("/a"), Root("/b", writable=True)), "/canary").fields()


def test_the_gateways_set_up_is_understood():
    told = read_setup(SETUP)
    assert (told.canary, told.roots, told.pages) == (b"/canary", [(b"/a", False), (b"/b", True)], False)
    assert (told.limits.file_bytes, told.limits.write_bytes) == (256 << 20, 8 << 20)


def test_a_reader_of_pages_is_told_no_roots():
    told = read_setup(Setup((), "/canary", pages=True).fields())
    assert (told.roots, told.pages) == ([], True)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [field for field in SETUP if not field.startswith(b"root")],
        [field for field in SETUP if not field.startswith(b"canary")],
        [*SETUP, b"canary=/other"],
        [field.replace(b"pages=0", b"pages=1") for field in SETUP],
        [field for field in SETUP if not field.startswith(b"pages")],
        [*SETUP, b"unknown=1"],
        [*SETUP, b"root=rx:/c"],
        [*SETUP, b"root=/c"],
        [field.replace(b"version=1", b"version=2") for field in SETUP],
        [field.replace(b"write_bytes=", b"write_bytes=9999") for field in SETUP],
        [field.replace(b"glob_entries=", b"glob_entries=-") for field in SETUP],
    ],
)
def test_a_set_up_that_does_not_parse(fields):
    with pytest.raises(FrameError):
        read_setup(fields)


@pytest.fixture(scope="module")
def worker():
    with place() as base:
        sizes = dict.fromkeys(("file_bytes", "write_bytes", "read_bytes", "glob_entries"), b"1000")
        roots = [WorkerRoot(os.fsencode(base), writable=False), WorkerRoot(os.fsencode(base + "/w"), writable=True)]
        yield Worker(Roots(roots), Limits(sizes)), os.fsencode(base)


NAMES = st.sampled_from([b"read", b"write", b"edit", b"identify", b"glob", b"ping", b"", b"READ", b"exec"])
VALUES = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"0", b"1", b"100", b"BASE/w/x", b"BASE/w", b"BASE/w/*", b"*", b"\0"])
)


@settings(max_examples=300)
@given(NAMES, st.lists(VALUES, max_size=6))
def test_no_request_does_more_than_be_answered(worker, name, values):
    hands, base = worker
    answer = hands.answer([name, *(value.replace(b"BASE", base) for value in values)])
    assert answer[0] in {b"ok", b"no"}
    if answer[0] == b"no":
        assert len(answer) == 2
        assert answer[1].decode("ascii").replace("_", "").isalpha()
        assert answer[1] != b"worker_fault"


def test_an_error_nobody_foresaw_is_one_calls_error(worker, monkeypatch):
    hands, base = worker

    def broken(*_: object, **__: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(hands._writer, "write", broken)
    assert hands.answer([b"write", base + b"/w/x", b"0", b""]) == [b"no", b"worker_fault"]
    assert hands.answer([b"ping"]) == [b"ok"]


def converse(*messages: bytes, setup: list[bytes] | None = None) -> tuple[list[bytes], int]:
    """Start a worker, send bytes, close our sending side; return what it answered after its hello, and its status."""
    ours, theirs = socket.socketpair()
    with place() as base, ours:
        process = subprocess.Popen(start_argv(PYTHON, SOURCE, theirs.fileno()), pass_fds=[theirs.fileno()], env={})
        theirs.close()
        ours.settimeout(60)
        ours.sendall(pack(Setup((Root(base),), "/none").fields() if setup is None else setup))
        hello = receive(ours)
        assert hello[0] == b"version=1"
        answers = []
        for message in messages:
            try:
                ours.sendall(message)
            except OSError:  # it has gone already
                break
            if (answer := receive(ours)) == []:
                break
            answers.append(answer[-1])
        ours.close()
        return answers, process.wait(60)


def receive(channel: socket.socket) -> list[bytes]:
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        try:
            more = channel.recv(65536)
        except ConnectionResetError:
            return []
        if not more:
            return []
        data += more
    return unpack(data[4:])


PING = pack([b"ping"])


@pytest.mark.live
@pytest.mark.parametrize(
    ("messages", "answers", "status"),
    [
        ((PING, PING), [b"ok", b"ok"], 0),
        ((pack([b"read", b"\xff/..", b"x", b""]), pack([]), pack([b"\0" * 1000]), PING), [b"path_not_plain"], None),
        ((b"\xff\xff\xff\xff",), [], 3),
        ((b"\0\0\0\0",), [], 3),
        ((b"\0\0\0\6\0\1\0\0\0\7",), [], 3),
        ((PING + PING,), [], 3),
        ((PING, b"garbage" * 100), [b"ok"], 3),
    ],
)
def test_what_ends_a_worker_and_what_does_not(messages, answers, status):
    if status is None:
        given_answers, ended = converse(*messages)
        assert given_answers == [b"request_unknown"] * 3 + [b"ok"]
        assert ended == 0
        return
    assert converse(*messages) == (answers, status)


@pytest.mark.live
def test_a_missing_root_is_told_and_ends_it():
    _, status = converse(setup=Setup((Root("/no/such/root"),), "/none").fields())
    assert status == 3


@pytest.mark.live
@pytest.mark.parametrize("as_standard_input", [False, True])
def test_inherited_descriptors_are_closed(as_standard_input):
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with place() as base, ours:
        process = subprocess.Popen(
            start_argv(PYTHON, SOURCE, 0 if as_standard_input else theirs.fileno()),
            pass_fds=[writer] if as_standard_input else [writer, theirs.fileno()],
            stdin=theirs if as_standard_input else writer,
            stdout=writer,
            stderr=writer,
            env={},
        )
        theirs.close()
        os.close(writer)
        ours.settimeout(60)
        ours.sendall(pack(Setup((Root(base),), "/none").fields()))
        assert receive(ours)[-1] == b"problem="
        assert os.read(reader, 1) == b"", "the worker still holds the pipe"
        os.close(reader)
        ours.close()
        assert process.wait(60) == 0
