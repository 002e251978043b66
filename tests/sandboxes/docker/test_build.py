"""What is in an image is read from the words of Debian's own tools."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from bascule.core.errors import Malformed
from bascule.sandboxes.docker.build import debian_image, read_packages
from bascule.sandboxes.docker.engine import Engine

SHOWN = """Package: bash
Version: 5.2
Description: a shell
 SHA256: not this
SHA256: aa

Package: apt
Version: 2
SHA256: bb

Package: bash
Version: 5.2
SHA256: aa

Package: unsigned
Version: 1
"""


def test_each_package_once_with_what_debian_signed() -> None:
    assert read_packages(SHOWN) == (("apt", "2", "bb"), ("bash", "5.2", "aa"))
    assert read_packages("") == ()


@pytest.mark.parametrize("mirror", ["", "file:///etc", "http://x y", "http://x'; id", "-o x", "https://x\n"])
def test_a_mirror_is_a_plain_address(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed) as refused:
        debian_image(cast("Engine", tmp_path), "x", mirror)
    assert refused.value.code == "image_mirror"
