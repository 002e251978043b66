"""Which image a name stands for now."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bascule.sandboxes.docker.record import FILE, Image, write
from bascule.sandboxes.docker.shelf import Shelf

ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")


def put(home: Path, identity: str) -> None:
    beside = home / "beside"
    beside.write_text(json.dumps(write({"box:1": Image(identity, "x")})))
    os.replace(beside, home / FILE)


def test_a_new_record_is_seen_and_a_broken_one_names_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.id_of("box:1") == ""
    put(tmp_path, ONE)
    assert (shelf.id_of("box:1"), shelf.id_of("box:2")) == (ONE, "")
    put(tmp_path, TWO)
    assert shelf.id_of("box:1") == TWO
    (tmp_path / FILE).write_text("{")
    assert shelf.id_of("box:1") == ""
    (tmp_path / FILE).unlink()
    assert shelf.id_of("box:1") == ""
    put(tmp_path, ONE)
    assert shelf.id_of("box:1") == ONE
