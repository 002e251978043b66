from __future__ import annotations

import asyncio
import os

import pytest
from tests.sandboxes.worker.started import place, started

from bascule.sandboxes.hello import Expected, Root, posture
from bascule.sandboxes.worker import walls
from bascule.sandboxes.worker.selftest import count_routes, outer_uid, parse_status, try_canary

AGENT = 1_912_345_678

ROUTES = b"Iface\tDestination\tGateway\nlo\t0000007F\t0\neth0\t00000000\t0100\n"
ROUTES6 = b"0" * 32 + b" 80 x       lo\n" + b"f" * 32 + b" 00 x     eth0\n"


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "count"),
    [(b"", b"", 0), (ROUTES, b"", 1), (b"", ROUTES6, 1), (ROUTES, ROUTES6, 2), (b"Iface\n", b"", 0)],
)
def test_routes_besides_loopback(ipv4, ipv6, count):
    assert count_routes(ipv4, ipv6) == count


@pytest.mark.parametrize(
    ("uid", "uid_map", "outer"),
    [
        (0, b"         0          0 4294967295\n", 0),
        (1000, b"      1000 1912345678          1\n", 1912345678),
        (5, b"0 1000 1\n1 100000 65536\n", 100004),
        (7, b"0 1000 1\n", 65534),
        (7, b"", 65534),
    ],
)
def test_outer_uid(uid, uid_map, outer):
    assert outer_uid(uid, uid_map) == outer


def test_status():
    assert parse_status(b"Name:\tx:y\nUid:\t1\t2\t3\t4\n") == {b"Name": b"x:y", b"Uid": b"1\t2\t3\t4"}


def test_canary_fates():
    with place() as root:
        with open(root + "/open", "w"):
            pass
        assert try_canary(os.fsencode(root) + b"/open") == "readable"
        assert try_canary(os.fsencode(root) + b"/none") == "missing"


async def greet(root: str, uid: int | None, canary: str):
    async with started(Root(root), uid=uid, canary=canary) as worker:
        return worker.files.hello, worker.process.pid


@pytest.mark.live
@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process as another account")
def test_another_account_measures_all_walls():
    with place() as root:
        canary = root + "/canary"
        os.close(os.open(canary, os.O_CREAT | os.O_WRONLY, 0o600))
        hello, pid = asyncio.run(greet(root, AGENT, canary))
    assert (hello.kernel_uid, hello.kernel_pid) == (AGENT, pid), "the kernel says who sent it"
    assert (hello.uid, hello.outer_uid, hello.canary) == (AGENT, AGENT, "denied")
    assert (hello.seccomp, hello.no_new_privs, hello.dumpable) == (2, True, False)
    assert hello.landlock == walls.landlock_abi()
    judged = posture(hello, Expected(AGENT, os.getuid(), 0), memory_limit=1, pids_limit=1)
    beyond_a_worker = ("capabilities remain", "network routes")  # its box takes these away
    assert [problem for problem in judged.problems if not any(word in problem for word in beyond_a_worker)] == []


@pytest.mark.live
def test_our_own_account_is_no_place_for_a_worker():
    with place() as root:
        hello, _ = asyncio.run(greet(root, None, "/nowhere"))
    assert hello.kernel_uid == os.getuid()
    judged = posture(hello, Expected(os.getuid(), os.getuid(), 0), memory_limit=0, pids_limit=0)
    assert "the worker runs under the gateway's account" in judged.problems
    assert any("canary" in problem for problem in judged.problems)
