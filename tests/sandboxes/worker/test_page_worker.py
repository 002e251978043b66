from __future__ import annotations

import subprocess

import pytest
from tests.sandboxes.worker.started import PYTHON, SOURCE

from bascule.sandboxes.worker.page_worker import PageWorker

WORKER = PageWorker(100, 10)

LOOK = """
import os, socket, sys
sys.path.append(sys.argv[1])
from bascule.sandboxes.hello import Setup
from bascule.sandboxes.worker.main import harden
def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return os.strerror(error.errno)
    return "done"
attempts = [lambda: os.close(os.open("/etc/hostname", os.O_RDONLY)), lambda: os.listdir("/"), lambda: socket.socket(),
            lambda: os.close(os.open("/tmp/bascule-page", os.O_CREAT | os.O_WRONLY))]
before = [outcome(each) for each in attempts]
os.unlink("/tmp/bascule-page")
if sys.argv[2] == "wall":
    worker, _ = harden(Setup((), "/nowhere", pages=True).fields())
    before = [outcome(each) for each in attempts] + worker.answer([b"text", b"windows-1251", b"<p>\\xe9"])
print(before)
"""


def look(wall: str) -> str:
    words = [PYTHON, "-I", "-c", LOOK, SOURCE, wall]
    return subprocess.run(words, capture_output=True, check=True, text=True, timeout=60).stdout.strip()


def test_behind_its_walls_a_reader_opens_nothing_and_still_reads():
    assert look("none") == str(["done"] * 4)
    refused = ["Operation not permitted"] * 4
    assert look("wall") == str([*refused, b"ok", "й".encode()])


def test_text_is_cut_at_a_character():
    assert WORKER.answer([b"text", b"", "ééééééé".encode()]) == [b"ok", "ééééé".encode()]
    assert WORKER.answer([b"text", b"", "aéééééé".encode()]) == [b"ok", "aéééé".encode()]


@pytest.mark.parametrize(
    "fields", [[], [b"text"], [b"read", b"", b""], [b"text", b"", b"", b""], [b"ping"], [b"write", b"/x", b"0", b""]]
)
def test_it_has_one_operation(fields):
    assert WORKER.answer(fields) == [b"no", b"request_unknown"]


def test_an_encoding_it_does_not_know():
    assert WORKER.answer([b"text", b"\xff", b"x"]) == [b"no", b"charset_unknown"]


def test_what_it_takes_is_bounded():
    assert PageWorker(300, 10).largest_request - WORKER.largest_request == 200
