"""How long a box is kept."""

from __future__ import annotations

import pytest

from bascule.core.policy import DockerPolicy
from bascule.sandboxes.keeping import is_due


@pytest.mark.parametrize(
    ("idle", "age", "made", "used", "due"),
    [
        (10, 0, 0, 90, False),
        (10, 0, 0, 89, True),
        (0, 0, 0, 0, False),
        (0, 50, 50, 100, False),
        (0, 50, 49, 100, True),
        (10, 50, 99, 99, False),
    ],
)
def test_unused_too_long_or_too_old(idle: int, age: int, made: float, used: float, due: bool) -> None:
    assert is_due(DockerPolicy(idle_seconds=idle, age_seconds=age), made, used, 100) is due
