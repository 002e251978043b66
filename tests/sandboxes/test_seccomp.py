"""The filter's bytes, run through an interpreter of classic BPF as the kernel does."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Unavailable
from bascule.sandboxes.seccomp import AF_UNIX, box_filter
from bascule.sandboxes.syscalls import MACHINES

ALLOW, EPERM, ENOSYS, EAFNOSUPPORT, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x50061, 0x80000000


def evaluate(program: bytes, number: int, audit: int, *arguments: int) -> int:
    """Run a filter on one system call."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<iIQ6Q", number if number < 1 << 31 else number - (1 << 32), audit, 0, *padded)
    accumulator, at = 0, 0
    while True:
        code, when_true, when_false, value = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case 0x05:
                at += value
            case 0x15 | 0x35 | 0x45:
                holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
                at += when_true if holds else when_false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_every_denied_call_is_denied_and_common_ones_are_not(name: str) -> None:
    machine, program = MACHINES[name], box_filter(name)
    assert len(program) % 8 == 0
    assert len(program) // 8 <= 4096
    for call, number in machine.denied.items():
        assert evaluate(program, number, machine.audit) == EPERM, call
    common = {"x86_64": (0, 1, 59, 257, 231, 437), "aarch64": (63, 64, 221, 56, 94, 437)}[name]
    for number in common:
        assert evaluate(program, number, machine.audit) == ALLOW


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", sorted(MACHINES))
def test_denied_are_the_listed_calls_and_no_others(name: str, shared: bool) -> None:
    machine, program = MACHINES[name], box_filter(name, shared=shared)
    listed = {*machine.denied.values(), *(machine.lasting if shared else ())}
    asked = machine.own if shared else ()
    for number in range(463):
        if number not in {435, *asked, machine.socket}:
            found = evaluate(program, number, machine.audit)
            assert found == (EPERM if number in listed else ALLOW), number
    for number in asked:
        assert evaluate(program, number, machine.audit, 1) == EPERM


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_foreign_architecture_is_killed(name: str) -> None:
    assert evaluate(box_filter(name), 0, 0x40000003) == KILL


def test_second_numbering_of_the_same_machine_is_killed() -> None:
    assert evaluate(box_filter("x86_64"), 0x40000000, MACHINES["x86_64"].audit) == KILL


@pytest.mark.parametrize("name", sorted(MACHINES))
@given(number=st.integers(463, 0x3FFFFFFF))
def test_calls_newer_than_the_list_do_not_exist(name: str, number: int) -> None:
    assert evaluate(box_filter(name), number, MACHINES[name].audit) == ENOSYS


@pytest.mark.parametrize("name", sorted(MACHINES))
@given(flags=st.integers(0, 2**32 - 1))
def test_clone_makes_no_namespace(name: str, flags: int) -> None:
    found = evaluate(box_filter(name), MACHINES[name].clone, MACHINES[name].audit, flags)
    assert found == (EPERM if flags & 0x7E020000 else ALLOW)


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_clone_with_hidden_flags_falls_back(name: str) -> None:
    assert evaluate(box_filter(name), 435, MACHINES[name].audit) == ENOSYS


@pytest.mark.parametrize("name", sorted(MACHINES))
@pytest.mark.parametrize("families", [(), (AF_UNIX,), (1, 2, 10)])
@given(family=st.integers(0, 60))
def test_only_named_socket_families(name: str, families: tuple[int, ...], family: int) -> None:
    found = evaluate(box_filter(name, families), MACHINES[name].socket, MACHINES[name].audit, family)
    assert found == (ALLOW if family in families else EAFNOSUPPORT)


@pytest.mark.parametrize("name", sorted(MACHINES))
@pytest.mark.parametrize(
    ("request_number", "wanted"), [(0x5412, EPERM), (0x541C, EPERM), (0x5401, ALLOW), (0x5413, ALLOW)]
)
def test_nobody_types_into_a_terminal(name: str, request_number: int, wanted: int) -> None:
    assert evaluate(box_filter(name), MACHINES[name].ioctl, MACHINES[name].audit, 0, request_number) == wanted
    high = request_number | 1 << 40
    assert evaluate(box_filter(name), MACHINES[name].ioctl, MACHINES[name].audit, 0, high) == wanted


def test_unknown_machine_is_refused() -> None:
    with pytest.raises(Unavailable):
        box_filter("vax")


@pytest.mark.parametrize("name", sorted(MACHINES))
@given(pid=st.integers(1, 2**32 - 1), high=st.integers(0, 2**32 - 1))
def test_where_programs_share_a_container_none_changes_another_process(name: str, pid: int, high: int) -> None:
    machine = MACHINES[name]
    alone, shared = box_filter(name), box_filter(name, shared=True)
    for number in machine.own:
        assert evaluate(alone, number, machine.audit, pid) == ALLOW
        assert evaluate(shared, number, machine.audit, pid | high << 32) == EPERM
        assert evaluate(shared, number, machine.audit, high << 32) == ALLOW  # the kernel reads the low half
    for number in machine.lasting:
        assert evaluate(alone, number, machine.audit) == ALLOW
        assert evaluate(shared, number, machine.audit) == EPERM


STREAM, DATAGRAM, RAW, CLOEXEC, NONBLOCK = 1, 2, 3, 0x80000, 0x800


@pytest.mark.parametrize("name", sorted(MACHINES))
@given(
    family=st.sampled_from([0, 1, 2, 10, 16, 17, 40, 2 | 1 << 31]),
    kind=st.sampled_from([STREAM, DATAGRAM, RAW, 4, 5, 6, 10]),
    flags=st.sampled_from([0, CLOEXEC, NONBLOCK, CLOEXEC | NONBLOCK, 0x10, 1 << 31]),
    protocol=st.sampled_from([0, 6, 1, 17, 132, 262, 255]),
    high=st.sampled_from([0, 1 << 32]),
)
def test_a_way_out_is_a_tcp_socket_over_ipv4(
    name: str, family: int, kind: int, flags: int, protocol: int, high: int
) -> None:
    program, machine = box_filter(name, connects=True), MACHINES[name]
    found = evaluate(program, machine.socket, machine.audit, family | high, kind | flags | high, protocol | high)
    good = family == 2 and kind == STREAM and flags in {0, CLOEXEC, NONBLOCK, CLOEXEC | NONBLOCK}
    assert found == (ALLOW if good and protocol in {0, 6} else EAFNOSUPPORT)


@pytest.mark.parametrize("name", sorted(MACHINES))
@given(
    family=st.sampled_from([0, 1, 2, 10, 16, 17, 40, 2 | 1 << 31]),
    kind=st.sampled_from([STREAM, DATAGRAM, RAW, 4, 5, 6, 10]),
    flags=st.sampled_from([0, CLOEXEC, NONBLOCK, CLOEXEC | NONBLOCK, 0x10, 1 << 31]),
    protocol=st.sampled_from([0, 6, 1, 17, 132, 136, 262, 255]),
)
def test_on_a_bridge_each_kind_of_socket_goes_with_its_own_protocol(
    name: str, family: int, kind: int, flags: int, protocol: int
) -> None:
    program, machine = box_filter(name, shared=True, connects=True, datagrams=True), MACHINES[name]
    found = evaluate(program, machine.socket, machine.audit, family, kind | flags, protocol)
    known = {STREAM: {0, 6}, DATAGRAM: {0, 17}}.get(kind, set())
    good = family == 2 and flags in {0, CLOEXEC, NONBLOCK, CLOEXEC | NONBLOCK} and protocol in known
    assert found == (ALLOW if good else EAFNOSUPPORT)


@pytest.mark.parametrize("name", sorted(MACHINES))
@pytest.mark.parametrize(
    ("level", "option", "wanted"),
    [
        *((1, number, EPERM) for number in (25, 26, 36, 50, 51, 52, 62)),
        *((0, number, EPERM) for number in (3, 4, 15, 19, 35, 39, 42, 46, 50)),
        *((6, 31, EPERM), (6, 1, ALLOW), (1, 6, ALLOW), (1, 9, ALLOW), (0, 1, ALLOW), (0, 11, ALLOW), (17, 25, ALLOW)),
    ],
)
def test_on_a_bridge_nobody_steers_a_packet_past_its_route(name: str, level: int, option: int, wanted: int) -> None:
    machine, program = MACHINES[name], box_filter(name, shared=True, connects=True, datagrams=True)
    assert evaluate(program, machine.setsockopt, machine.audit, 3, level, option) == wanted
    for number in machine.accepting:
        assert evaluate(program, number, machine.audit) == EPERM


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_a_way_out_leads_out_only(name: str) -> None:
    machine = MACHINES[name]
    connects, closed = box_filter(name, connects=True), box_filter(name)
    assert len(machine.accepting) == 4
    for number in machine.accepting:
        assert evaluate(connects, number, machine.audit) == EPERM
        assert evaluate(closed, number, machine.audit) == ALLOW  # without any socket there is nothing to bind
    connect = {"x86_64": 42, "aarch64": 203}[name]
    assert evaluate(connects, connect, machine.audit) == ALLOW


@pytest.mark.parametrize("name", sorted(MACHINES))
@pytest.mark.parametrize(
    ("level", "option", "wanted"),
    [
        *((1, 26, EPERM), (1, 50, EPERM), (1, 51, EPERM), (1, 52, EPERM), (6, 31, EPERM)),
        *((6, 26, ALLOW), (1, 31, ALLOW), (1, 9, ALLOW), (6, 1, ALLOW), (0, 1, ALLOW)),
    ],
)
def test_a_way_out_has_the_usual_options_and_no_programs(name: str, level: int, option: int, wanted: int) -> None:
    machine = MACHINES[name]
    assert evaluate(box_filter(name, connects=True), machine.setsockopt, machine.audit, 3, level, option) == wanted


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_what_a_closed_box_may_not_do_one_with_a_way_out_may_not_either(name: str) -> None:
    machine, program = MACHINES[name], box_filter(name, connects=True, shared=True)
    for number in (*machine.denied.values(), *machine.lasting):
        assert evaluate(program, number, machine.audit) == EPERM
    assert evaluate(program, machine.clone, machine.audit, 0x40000000) == EPERM
    assert evaluate(program, machine.ioctl, machine.audit, 0, 0x5412) == EPERM
    assert evaluate(program, 0, 0x40000003) == KILL
    assert evaluate(program, 463, machine.audit) == ENOSYS


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(("command", "wanted"), [(1024, EPERM), (1025, ALLOW), (37, ALLOW), (0, ALLOW)])
def test_nobody_makes_others_wait_by_a_lease(name: str, command: int, wanted: int) -> None:
    for shared, connects in ((False, False), (True, False), (True, True)):
        program = box_filter(name, shared=shared, connects=connects)
        assert evaluate(program, MACHINES[name].fcntl, MACHINES[name].audit, 3, command) == wanted
