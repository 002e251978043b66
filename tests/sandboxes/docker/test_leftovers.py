"""What earlier containers left behind goes; what is known, and what is no place of ours, stays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bascule.sandboxes.docker.leftovers import clear_places, remove_unknown

OURS, GONE = "a" * 32, "b" * 32


class Warden:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = [{"place": place} for place in (OURS, GONE, "", "../../etc", "B" * 32)]
        self.discharged: list[tuple[object, str]] = []

    async def containers(self) -> list[dict[str, Any]]:
        return self.rows

    async def discharge(self, agent: object, place: str = "") -> None:
        self.discharged.append((agent, place))


def test_only_unknown_places_are_discharged_and_never_all_at_once() -> None:
    warden = Warden()
    assert asyncio.run(remove_unknown(warden, {OURS})) == 1
    assert warden.discharged == [(None, GONE)]


def test_stale_directories_go(tmp_path: Path) -> None:
    for name in (OURS, GONE, "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "line").touch()
    clear_places(tmp_path, {OURS})
    assert sorted(path.name for path in tmp_path.iterdir()) == [OURS, "other"]
    clear_places(tmp_path / "missing", set())
