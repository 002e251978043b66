"""Orders: what parses is whole, and nothing else parses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.sandboxes.resident.orders import OrderError, parse

LIMITS = dict.fromkeys(
    ("memory_bytes", "pids", "cpu_seconds", "wall_seconds", "output_bytes", "file_bytes", "open_files"), 1
)
RUN: dict[str, Any] = {
    "id": 1, "op": "run", "argv": ["/usr/bin/x", "y"], "program": "/usr/bin/x", "sha256": "a", "kind": "native",
    "interpreter": "", "needs": [], "readable": [], "writable": [], "limits": LIMITS, "environment": {}, "filter": "00",
    "port": 3128, "bundles": ["/etc/x"], "bridge": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "order",
    [RUN, {"id": 1, "op": "worker"}, {"id": 0, "op": "look", "paths": ["/x"]}, {"id": 1, "op": "kill", "box": 2},
     {"id": 1, "op": "clear", "scratches": ["/x"]}],
)  # fmt: skip
def test_orders(order: dict[str, Any]) -> None:
    assert parse(json.dumps(order).encode()) == order


def test_the_bridge_and_the_proxy_are_never_one() -> None:
    bridged = RUN | {"bridge": True, "port": 0}
    assert parse(json.dumps(bridged).encode()) == bridged


@pytest.mark.parametrize(
    "change",
    [{"op": "mount"}, {"id": -1}, {"id": True}, {"argv": []}, {"argv": [1]}, {"argv": ["a\0b"]}, {"program": None},
     {"limits": {}}, {"limits": LIMITS | {"pids": -1}}, {"environment": {"A": 1}}, {"filter": "zz"}, {"filter": 1},
     {"writable": "x"}, {"needs": {}}, {"port": -1}, {"port": 65_536}, {"port": True}, {"bundles": "x"},
     {"bridge": 1}, {"bridge": None}, {"bridge": True}],
)  # fmt: skip
def test_a_wrong_value_refuses_the_whole(change: dict[str, Any]) -> None:
    with pytest.raises(OrderError):
        parse(json.dumps(RUN | change).encode())


@given(st.binary(max_size=200))
def test_noise_is_no_order(noise: bytes) -> None:
    with pytest.raises(OrderError):
        parse(noise)


@given(st.dictionaries(st.sampled_from(sorted(RUN)), st.none() | st.integers() | st.text() | st.lists(st.integers())))
def test_any_mixture_is_refused_or_whole(change: dict[str, Any]) -> None:
    try:
        found = parse(json.dumps(RUN | change).encode())
    except OrderError:
        return
    assert found["op"] in {"run", "worker", "look", "kill", "clear"}
