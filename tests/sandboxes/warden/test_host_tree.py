"""Where a protected tree shows a second time, read from the kernel's table of mounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.linux.test_mountinfo import TABLE

from bascule.core.paths import is_within
from bascule.linux.mountinfo import MountedAt, parse_mountinfo
from bascule.sandboxes.warden.host_tree import other_places


@pytest.mark.parametrize(
    ("path", "number", "places"),
    [
        ("/srv/data/home", 22, {"/mnt/my data/home", "/media/root/srv/data/home", "/var/state"}),
        ("/srv/data", 22, {"/mnt/my data", "/media/root/srv/data", "/var/state"}),
        ("/mnt/my data/home", 25, {"/srv/data/home", "/media/root/srv/data/home", "/var/state"}),
        ("/srv/dat", 22, {"/media/root/srv/dat"}),
        ("/home/pat/.bascule", 24, {"/srv/pat/.bascule"}),
        ("/home/patricia", 24, set()),
        ("/media/root/home", 26, {"/home"}),
        ("/nowhere", 99, set()),
    ],
)
def test_every_other_place_is_found(path: str, number: int, places: set[str]) -> None:
    assert set(other_places(path, number, parse_mountinfo(TABLE))) == places


PARTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3).map(lambda parts: "/" + "/".join(parts))


@given(inner=PARTS, rest=PARTS, roots=st.lists(st.tuples(PARTS, PARTS), max_size=5))
def test_whatever_shows_some_of_it_has_its_place_named(inner: str, rest: str, roots: list[tuple[str, str]]) -> None:
    """Of a file below the protected tree every path by which a mount shows it lies below a place that is named."""
    mounts = (MountedAt(1, "1:1", "/", "/"), *(MountedAt(2 + n, "1:1", *row) for n, row in enumerate(roots)))
    covered = (inner, *other_places(inner, 1, mounts))
    file = (inner.rstrip("/") + rest).rstrip("/") or "/"
    for mount in mounts:
        if is_within(file, mount.root):
            shown = (mount.place.rstrip("/") + file[len(mount.root.rstrip("/")) :]) or "/"
            assert any(is_within(shown, place) for place in covered), (shown, covered)
