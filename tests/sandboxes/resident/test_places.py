"""What a program with a way out may read of its image besides."""

from __future__ import annotations

from pathlib import Path

from bascule.sandboxes.resident.places import certificates


def test_the_first_bundle_there_is_is_the_one(tmp_path: Path) -> None:
    for name in ("b", "c"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    names = [str(tmp_path / name) for name in ("a", "folder", "c", "b")]
    assert certificates({"bundles": names}) == str(tmp_path / "c")
    assert certificates({"bundles": names[:2]}) == certificates({"bundles": []}) == ""
