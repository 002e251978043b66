"""T02: an approved directory holds secrets of the system; a yes to it is not a yes to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.living import Living, content, effect, living

pytestmark = pytest.mark.live

SECRETS = [path for path in ("/etc/shadow", "/etc/gshadow", "/etc/shadow-") if Path(path).exists()]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(tmp_path_factory.mktemp("etc") / "home") as made:
        yield made


def test_a_yes_to_etc_shows_etc(house: Living) -> None:
    report = house.approved("exec", {"command": "grep -rh root /etc/passwd /etc"})
    assert effect(report) == "allow"
    assert "root:x:0:0" in content(report)


def test_without_the_wall_the_secrets_are_there() -> None:
    assert SECRETS
    assert all(Path(path).stat().st_size for path in SECRETS)


def test_and_none_of_its_secrets_not_even_their_size(house: Living) -> None:
    listed = content(house.approved("exec", {"command": "find /etc -maxdepth 1 -name '*shadow*' -size +0 -type f"}))
    assert listed.splitlines() == []
    searched = content(house.approved("exec", {"command": "grep -r root: /etc"}))
    for path in SECRETS:
        first = next(line for line in Path(path).read_text().splitlines() if line.startswith("root:"))
        assert first not in searched


def test_the_secrets_themselves_are_refused_by_name(house: Living) -> None:
    for path in SECRETS:
        assert effect(house.run(f"cat {path}")) == "deny"
