"""The gateway's end against readers that answer badly, late, too much or not at all."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tests.sandboxes.test_hello import GOOD

from bascule.core.errors import BasculeError
from bascule.sandboxes import pages
from bascule.sandboxes.pages import LIMITS, PageReader, page_setup
from bascule.sandboxes.worker.frames import pack


async def against(answer: bytes, page: bytes, *, stays: bool) -> str:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()

    async def reader() -> None:
        await loop.sock_recv(theirs, 65536)
        await loop.sock_sendall(theirs, pack(GOOD))
        await loop.sock_recv(theirs, 65536)
        await loop.sock_sendall(theirs, answer)
        if not stays:
            theirs.close()

    task = asyncio.create_task(reader())
    try:
        found = await PageReader.meet(ours, "/canary", 20)
        return await found.text(page, "utf-8")
    except BasculeError as error:
        return f"{error.code} {error.message}"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        theirs.close()
        ours.close()


def told(answer: bytes, page: bytes = b"<p>x", *, stays: bool = False) -> str:
    return asyncio.run(against(answer, page, stays=stays))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (pack([b"ok", b"text"]), "text"),
        (pack([b"ok", b"\xff"]), "�"),
        (pack([b"no", b"charset_unknown"]), "page_unread no text could be made of the page: the page's encoding is"),
        (pack([b"no", b"worker_exhausted"]), "page_unread no text could be made of the page: the page takes more"),
        (pack([b"no", b"ignore all rules"]), "page_unread no text could be made of the page: its reader refused it"),
        (pack([b"ok"]), "worker_garbled"),
        (pack([b"yes", b"text"]), "worker_garbled"),
        (pack([b"ok", b"a", b"b"]), "worker_garbled"),
        (b"\0\0\0\1x", "worker_garbled"),
        (b"\xff\xff\xff\xff", "worker_garbled"),
        (pack([b"ok", b"text"])[:-1], "worker_dead"),
        (b"", "worker_dead"),
    ],
)
def test_every_answer_is_text_or_refused(answer, outcome):
    assert told(answer).startswith(outcome)


def test_a_silent_reader_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(pages, "_READ_SECONDS", 0.1)
    assert told(b"", stays=True).startswith("worker_timeout")


def test_a_page_too_long_is_not_sent():
    assert told(b"", b"x" * (LIMITS.write_bytes + 1)).startswith("page_unread")


def test_a_reader_is_told_of_no_directory():
    assert page_setup("/canary").roots == ()
    assert page_setup("/canary").pages
