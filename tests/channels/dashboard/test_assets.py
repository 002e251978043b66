from __future__ import annotations

import hashlib
import re
from importlib import resources

import pytest

from bascule.channels.dashboard.assets import HTMX_SHA256, HTMX_VERSION, TYPES, assets

PLACE = resources.files("bascule.channels.dashboard") / "static"
OURS = sorted(set(TYPES) - {"htmx.min.js"})


def test_the_library_is_the_one_that_was_looked_at() -> None:
    content = (PLACE / "htmx.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == HTMX_SHA256
    assert f'version:"{HTMX_VERSION}"'.encode() in content


def test_every_file_in_the_package_is_served_and_nothing_else() -> None:
    assert {entry.name for entry in PLACE.iterdir()} == set(TYPES) == set(assets())


@pytest.mark.parametrize("name", OURS)
def test_our_files_name_no_other_host_and_make_no_code_of_text(name: str) -> None:
    text = assets()[name].content.decode("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert (
        re.findall(
            r"https?://(?!localhost)|(?<!:)//\w+\.|url\(|@import|\beval\b|new Function|document\.write|insertAdjacentHTML",
            text,
        )
        == []
    )


@pytest.mark.parametrize("name", OURS)
def test_our_files_are_short_enough_to_read(name: str) -> None:
    assert assets()[name].content.count(b"\n") <= 400


def test_an_address_changes_with_what_is_behind_it() -> None:
    versions = [found.version for found in assets().values()]
    assert len(set(versions)) == len(versions)
    assert all(re.fullmatch(r"[0-9a-f]{16}", version) for version in versions)
