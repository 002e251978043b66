"""The record of images: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bascule.core.errors import Malformed
from bascule.core.policy import DEFAULT_IMAGE
from bascule.sandboxes.docker.record import Image, is_name, read, write

GOOD = "sha256:" + "0a" * 32


def test_what_is_written_is_read() -> None:
    images = {DEFAULT_IMAGE: Image(GOOD, "here", (("bash", "5.2", "ab"),)), "alpine:3": Image(GOOD, "registry")}
    assert read(json.dumps(write(images))) == images


@pytest.mark.parametrize(
    "body",
    [
        {"x": {"id": "latest", "source": "", "packages": []}},
        {"x": {"id": GOOD + "\n", "source": "", "packages": []}},
        {"x": {"id": GOOD, "source": ""}},
        {"x": {"id": GOOD, "source": "", "packages": [], "more": 1}},
        {"x": {"id": GOOD, "source": "", "packages": [["a", "b"]]}},
        {"x": {"id": GOOD, "source": "", "packages": "a"}},
        {"../x": {"id": GOOD, "source": "", "packages": []}},
        {"x": []},
    ],
)
def test_anything_else_is_refused(body: Any) -> None:
    with pytest.raises(Malformed):
        read(json.dumps(body))


@pytest.mark.parametrize("name", ["", "-x", "../etc", "A", "a b", "a" * 300, "x\n", "/x"])
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name)
    assert is_name("registry.example:5000/team/box:1.2")
