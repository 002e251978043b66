"""Uids across user namespaces, and what the kernel says of a process."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Unavailable
from bascule.sandboxes.warden.accounts import IdMap, measure, read_status

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
