from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Unavailable
from bascule.sandboxes.hello import Expected, Hello, Root, Setup, WorkerLimits, posture, read_hello
from bascule.sandboxes.worker.frames import FrameError, number, pairs

GOOD = [
    b"version=1",
    b"uid=1000",
    b"outer_uid=1912345678",
    b"canary=denied",
    b"seccomp=2",
    b"capabilities=0",
    b"no_new_privs=1",
    b"routes=0",
    b"landlock=7",
    b"dumpable=0",
    b"problem=",
]
FIT = Hello(1912345678, 42, 1000, 1912345678, "denied", 2, 0, no_new_privs=True, routes=0, landlock=7, dumpable=False)
EXPECTED = Expected(uid=1912345678, gateway_uid=1912345000, minimum_landlock=3)


def test_a_hello_is_read():
    assert read_hello(GOOD, 42, 1912345678) == FIT


def test_set_up_fields():
    setup = Setup((Root("/workspace"), Root("/workspace/memory", writable=True)), "/canary", WorkerLimits(1, 2, 3, 4))
    fields = pairs(setup.fields())
    assert [value for name, value in fields if name == "root"] == [b"ro:/workspace", b"rw:/workspace/memory"]
    rest = {name: value for name, value in fields if name != "root"}
    assert rest.pop("canary") == b"/canary"
    assert {name: number(value, 9) for name, value in rest.items()} == {
        "version": 1,
        "pages": 0,
        "file_bytes": 1,
        "write_bytes": 2,
        "read_bytes": 3,
        "glob_entries": 4,
    }


def changed(name: str, value: bytes) -> list[bytes]:
    return [field if not field.startswith(name.encode() + b"=") else name.encode() + b"=" + value for field in GOOD]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        GOOD[:-1],
        GOOD[1:],
        [*GOOD, b"uid=0"],
        *([field for field in GOOD if field is not gone] for gone in GOOD[1:]),
        changed("version", b"2"),
        changed("uid", b"-1"),
        changed("uid", b"99999999999"),
        changed("canary", b"perhaps"),
        changed("capabilities", b"0x0"),
        changed("capabilities", b""),
        changed("no_new_privs", b"2"),
        changed("problem", b"Bad Words\n"),
    ],
)
def test_a_hello_that_does_not_parse(fields):
    with pytest.raises(FrameError):
        read_hello(fields, 1, 1)


@given(st.lists(st.one_of(st.sampled_from(GOOD), st.binary(max_size=30)), max_size=14))
def test_no_hello_fails_in_any_other_way(fields):
    try:
        hello = read_hello(fields, 1, 7)
    except (FrameError, Unavailable):
        return
    assert hello.kernel_uid == 7


def test_a_worker_that_could_not_start_says_why():
    with pytest.raises(Unavailable) as refused:
        read_hello([b"version=1", b"problem=file_missing"], 1, 1)
    assert refused.value.code == "worker_setup"
    assert "file_missing" in refused.value.message


def test_a_fit_worker_has_no_problems():
    judged = posture(FIT, EXPECTED, memory_limit=5, pids_limit=6, cpus_limit=7)
    assert judged.problems == ()
    assert (judged.kernel_uid, judged.gateway_uid, judged.canary_denied) == (1912345678, 1912345000, True)
    assert (judged.memory_limit, judged.pids_limit, judged.cpus_limit, judged.landlock_abi) == (5, 6, 7, 7)


@pytest.mark.parametrize(
    ("shortfall", "word"),
    [
        ({"kernel_uid": 0}, "root"),
        ({"kernel_uid": 1912345000}, "gateway"),
        ({"kernel_uid": 1912345679}, "1912345679"),
        ({"canary": "readable"}, "readable"),
        ({"canary": "missing"}, "missing"),
        ({"canary": "refused"}, "refused"),
        ({"seccomp": 0}, "seccomp"),
        ({"capabilities": 1 << 21}, "200000"),
        ({"no_new_privs": False}, "no_new_privs"),
        ({"routes": 1}, "routes"),
        ({"landlock": 2}, "Landlock"),
        ({"dumpable": True}, "traced"),
    ],
)
def test_every_shortfall_is_named(shortfall, word):
    judged = posture(dataclasses.replace(FIT, **shortfall), EXPECTED, memory_limit=0, pids_limit=0)
    assert any(word in problem for problem in judged.problems)
    assert all("\n" not in problem for problem in judged.problems)


SINGLE = Expected(uid=1000, gateway_uid=1000, minimum_landlock=3, single=True)
SHARED = dataclasses.replace(FIT, kernel_uid=1000, outer_uid=1000, canary="missing")


@pytest.mark.parametrize(
    "shortfall",
    [
        {"kernel_uid": 0}, {"kernel_uid": 1001}, {"canary": "readable"}, {"canary": "denied"}, {"seccomp": 0},
        {"capabilities": 1}, {"no_new_privs": False}, {"routes": 1}, {"landlock": 2}, {"dumpable": True},
    ],
)  # fmt: skip
def test_with_a_single_account_everything_else_is_still_demanded(shortfall):
    judged = posture(SHARED, SINGLE, memory_limit=0, pids_limit=0)
    assert (judged.problems, judged.canary_denied, judged.kernel_uid) == ((), False, judged.gateway_uid)
    assert posture(dataclasses.replace(SHARED, **shortfall), SINGLE, memory_limit=0, pids_limit=0).problems
    assert posture(SHARED, dataclasses.replace(SINGLE, single=False), memory_limit=0, pids_limit=0).problems


def test_what_the_worker_says_of_its_uid_does_not_count():
    liar = dataclasses.replace(FIT, kernel_uid=0, uid=1000, outer_uid=1912345678)
    assert posture(liar, EXPECTED, memory_limit=0, pids_limit=0).problems
