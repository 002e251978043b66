"""The warden's words about containers: written and read back, and nothing besides."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bascule.core.confinement import Limits, Mount
from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.sandboxes.warden.container_requests import CheckTools, Contain, ContainerRequest, Discharge, ListContainers
from bascule.sandboxes.warden.messages import parse, write

ONE = AgentId("one")
CONTAIN = Contain(
    7,
    ONE,
    "0" * 32,
    "bascule-box:bookworm",
    "a" * 64,
    True,
    (Mount("/srv/x"),),
    Limits(1 << 20, 4, 5, 6, 7, 8, 9, 1500),
)


@pytest.mark.parametrize(
    "request_",
    [
        CONTAIN,
        replace(CONTAIN, bridge=True, dns=("9.9.9.9", "8.8.8.8")),
        Discharge(1, ONE),
        Discharge(1, None),
        Discharge(1, ONE, "b" * 32),
        ListContainers(3),
        CheckTools(4, ONE),
    ],
)
def test_what_is_written_is_read(request_: ContainerRequest) -> None:
    assert parse(write(request_)) == request_


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "../x"},
        {"agent": None},
        {"place": "../../etc"},
        {"place": "0" * 31},
        {"place": "G" * 32},
        {"image": ""},
        {"image": "-v"},
        {"image": 3},
        {"digest": "a"},
        {"writable": 1},
        {"mounts": [{"path": "x", "writable": False}]},
        {"mounts": [{"path": "/x", "writable": False, "target": "/"}]},
        {"limits": {}},
        {"proxy": 1},
        {"proxy": "host"},
        {"cpus": 1000},
        {"bridge": 1},
        {"bridge": "bridge"},
        {"bridge": True, "proxy": True},
        {"dns": "9.9.9.9"},
        {"dns": None},
        {"dns": ["192.168.1.1"]},
        {"dns": ["127.0.0.11"]},
        {"dns": ["9.9.9.9\nsearch x"]},
        {"dns": ["9.9.9.9"] * 4},
        {"dns": [9]},
        {"network": "host"},
        {"user": "0"},
        {"privileged": True},
        {"binds": ["/:/host"]},
        {"command": ["sh"]},
    ],
)
def test_a_container_is_asked_for_in_these_words_only(change: dict[str, Any]) -> None:
    body = json.loads(write(CONTAIN))
    assert parse(json.dumps(body).encode()) == CONTAIN
    with pytest.raises(Malformed):
        parse(json.dumps(body | change).encode())
