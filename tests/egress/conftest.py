"""What several files of this room need."""

from __future__ import annotations

import pytest

from bascule.egress import dial


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets 127.0.0.1 count as public, so that rules about public hosts have somewhere to lead."""
    real = dial.address_problem

    def problem(address: str, *, private: bool) -> str:
        return real(address, private=private or address == "127.0.0.1")

    monkeypatch.setattr(dial, "address_problem", problem)
