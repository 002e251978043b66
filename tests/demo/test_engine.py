"""What the demo says where it can have no container."""

from __future__ import annotations

from pathlib import Path

import pytest
from demo.steps import DemoError

from demo import engine


def test_a_machine_without_an_engine_is_told_in_one_line_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(DemoError) as refused:
        engine.record(tmp_path)
    told = str(refused.value)
    assert "apt-get install docker.io mmdebstrap" in told
    assert "\n" not in told
    assert list(tmp_path.iterdir()) == []
    assert engine.containers(tmp_path) == []
