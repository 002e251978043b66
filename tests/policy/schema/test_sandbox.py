"""Sizes, networks and profiles."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bascule.policy.schema.sandbox import Docker, Limits, bytes_of, is_unconfined, network_problem, profile_problem


def test_sizes_are_read_as_docker_reads_them() -> None:
    assert [bytes_of(text) for text in ("512m", "1G", "4k", "10b", "7", " 2gb ", 9)] == [
        512 << 20,
        1 << 30,
        4 << 10,
        10,
        7,
        2 << 30,
        9,
    ]
    for text in ("", "m", "1.5g", "-1", "1t", "1 g"):
        with pytest.raises(ValueError, match="size"):
            bytes_of(text)


def test_what_hands_over_the_host_is_refused() -> None:
    assert network_problem(" HOST ", allow_join=True)
    assert network_problem("Container:x", allow_join=False)
    assert not network_problem("container:x", allow_join=True)
    assert not network_problem(None, allow_join=False)
    assert is_unconfined(" Unconfined ")
    assert profile_problem("unconfined")
    assert not profile_problem(None)


@pytest.mark.parametrize(
    "value",
    [
        {"network": "host"},
        {"seccompProfile": "Unconfined"},
        {"apparmorProfile": "unconfined"},
        {"memory": "lots"},
        {"memory": "512"},
        {"memory": (6 << 20) - 1},
    ],
)
def test_the_section_refuses_them(value: object) -> None:
    with pytest.raises(ValidationError):
        Docker.model_validate(value)


def test_a_limit_without_its_unit_is_no_limit_and_nothing_is_none() -> None:
    assert [Docker.model_validate({"memory": text}).memory for text in ("0", 0, "6m")] == [0, 0, 6 << 20]
    with pytest.raises(ValidationError, match="write a unit"):
        Limits.model_validate({"memory": "512"})


def test_a_setup_command_may_be_written_in_lines() -> None:
    assert Docker.model_validate({"setupCommand": ("a", "b")}).setup_command == "a\nb"
