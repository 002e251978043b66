"""Where a home's parts lie, and which record of an installation is believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.core.errors import Tampered
from bascule.host.site import CONFIG, HOME, MANIFEST, OPERATORS, Site, beneath, is_installed, site_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (CONFIG, HOME):
        beneath(tmp_path, name).mkdir(parents=True)
    return tmp_path


def install(root: Path) -> Path:
    record = beneath(root, CONFIG) / MANIFEST
    record.write_text("{}")
    record.chmod(0o644)
    return record


def test_a_home_is_one_directory(root: Path) -> None:
    home = root / "home"
    install(root)
    assert site_of(home, root) == Site(home, home, home / "run", home / "logs")
    assert not site_of(home, root).installed
    assert site_of(home, root).governing == ()


def test_the_installed_home_is_spread(root: Path) -> None:
    home = beneath(root, HOME)
    assert not site_of(home, root).installed
    install(root)
    found = site_of(home, root)
    assert found.installed
    assert found.operators == OPERATORS
    assert found.config == beneath(root, CONFIG)
    assert found.governing == tuple(str(root / name) for name in ("etc/bascule", "run/bascule", "var/log/bascule"))


def test_it_is_the_same_by_another_spelling(root: Path) -> None:
    install(root)
    (root / "link").symlink_to(beneath(root, HOME))
    assert site_of(root / "link", root).installed


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_record_others_may_write_is_refused(root: Path, mode: int) -> None:
    install(root).chmod(mode)
    with pytest.raises(Tampered) as caught:
        is_installed(root)
    assert caught.value.code == "install_unsafe"


def test_a_record_in_a_directory_others_may_write_is_refused(root: Path) -> None:
    install(root)
    beneath(root, CONFIG).chmod(0o777)
    with pytest.raises(Tampered):
        site_of(beneath(root, HOME), root)


def test_a_record_that_is_a_link_is_refused(root: Path) -> None:
    install(root).rename(root / "elsewhere")
    (beneath(root, CONFIG) / MANIFEST).symlink_to(root / "elsewhere")
    with pytest.raises(Tampered):
        is_installed(root)
