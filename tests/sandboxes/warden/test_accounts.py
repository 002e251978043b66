"""Uids across user namespaces, and what the kernel says of a process."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Malformed, Unavailable
from bascule.core.ids import AgentId
from bascule.sandboxes.warden.accounts import IdMap, measure, read_status, told_apart
from bascule.sandboxes.warden.config import WardenConfig, config_here

MAP = IdMap.parse("         0       1000          1\n         1     100000      65536\n")


@given(st.integers(0, 65_536))
def test_mapping_is_a_round_trip(inner: int) -> None:
    assert MAP.inner(MAP.outer(inner)) == inner


@pytest.mark.parametrize("outer", [0, 999, 1001, 99_999, 165_536])
def test_unmapped_is_refused(outer: int) -> None:
    with pytest.raises(Unavailable):
        MAP.inner(outer)


def test_inner_without_an_outer_is_nobody() -> None:
    assert MAP.outer(70_000) == -1


STATUS = (
    "Uid:\t{}\nGroups:\t{}\nCapInh:\t0\nCapPrm:\t{}\nCapEff:\t0\nCapBnd:\t0\nCapAmb:\t0\nNoNewPrivs:\t1\nSeccomp:\t2\n"
)


def test_status_is_read() -> None:
    found = read_status(STATUS.format("1\t1\t1\t1", "4 5", "00000000000000a0"), MAP)
    assert (found.uid, found.capabilities, found.seccomp, found.no_new_privs, found.groups) == (
        100_000, 0xA0, 2, True, (4, 5),
    )  # fmt: skip


def test_differing_uids_are_nobodys() -> None:
    assert read_status(STATUS.format("1\t2\t1\t1", "", "0"), MAP).uid == -1


def test_missing_fields_read_as_the_worst() -> None:
    found = read_status("", MAP)
    assert (found.uid, found.capabilities, found.seccomp, found.no_new_privs) == (-1, 15, 0, False)


def test_this_process_is_measured() -> None:
    child = os.fork()
    if child == 0:
        os.read(os.pipe()[0], 1)
        os._exit(0)
    try:
        assert measure(child, IdMap.of_this_process()).uid == os.getuid()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    with pytest.raises(Unavailable):
        measure(child, IdMap.of_this_process())


ALONE = IdMap.parse("0 1000 1\n")


def config(*uids: int) -> WardenConfig:
    agents = {AgentId(f"a{number}"): uid for number, uid in enumerate(uids)}
    return config_here("/srv/home", agents, 1000, canary="/srv/home/canary")


def test_agents_are_told_apart_by_uid_and_with_a_single_one_not_at_all() -> None:
    assert told_apart(config(100_000, 100_005), MAP) == {1, 6}
    assert told_apart(config(1000, 1000), ALONE) == frozenset()
    with pytest.raises(Unavailable):
        told_apart(config(100_000), ALONE)


@pytest.mark.parametrize("text", ["0 0 4294967295\n", "0 1000 1\n1 100000 65536\n", "0 999 1\n", "0 1000 2\n", ""])
def test_a_warden_that_could_be_anyone_else_does_not_work_with_a_single_account(text: str) -> None:
    with pytest.raises(Malformed):
        told_apart(config(1000), IdMap.parse(text))
