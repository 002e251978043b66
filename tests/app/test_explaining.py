"""What is said of a box, read from files alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bascule.app.explaining import explain_files
from bascule.core.errors import Malformed, Unavailable
from bascule.sandboxes.docker.record import FILE, Image, write

BUILT = frozenset({"read", "exec"})


def home(path: Path, **sandbox: object) -> Path:
    policy = {"tools": {"allow": ["read", "cron"]}, "agents": {"list": [{"id": "a", "sandbox": sandbox}]}}
    (path / "bascule.json5").write_text(json.dumps(policy))
    return path


def test_every_tool_is_given_or_names_what_takes_it(tmp_path: Path) -> None:
    found = explain_files(home(tmp_path), "a", BUILT)
    states = {row["id"]: row["state"] for row in found["tools"]}
    assert (states["read"], states["cron"], states["exec"]) == ("given", "not built", "missing")
    missing = [row for row in found["tools"] if row["state"] == "missing"]
    assert missing
    assert all(row["keys"] and row["remedy"] for row in missing)
    assert {key["scope"] for row in missing for key in row["keys"]} == {"global"}
    assert any("no exec: tools.allow does not name it" in line for line in found["lines"])


def test_the_image_is_the_one_on_record(tmp_path: Path) -> None:
    place = home(tmp_path, backend="docker")

    def image() -> str:
        return next(fact["value"] for fact in explain_files(place, "a", BUILT)["facts"] if fact["id"] == "image")

    assert "not recorded" in image()
    (place / FILE).write_text(json.dumps(write({"bascule-box:bookworm": Image(f"sha256:{'ab' * 32}", "x")})))
    assert f"sha256:{'ab' * 32}" in image()
    (place / FILE).write_text("{")
    assert "not recorded" in image()


def test_what_cannot_be_explained(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no"):
        explain_files(tmp_path, "a", BUILT)
    with pytest.raises(Malformed) as unknown:
        explain_files(home(tmp_path), "b", BUILT)
    assert unknown.value.code == "agent_unknown"
