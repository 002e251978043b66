"""Which kernel setting is named where user namespaces are forbidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.linux.userns import SETTINGS, forbidding


def shown(root: Path, values: dict[str, str]) -> Path:
    for name, value in values.items():
        path = root / name.replace(".", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(value + "\n")
    return root


ALLOWED = {setting.name: setting.allows for setting in SETTINGS}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_setting_that_forbids_is_named_with_what_to_run(tmp_path: Path, setting: object) -> None:
    found = forbidding(shown(tmp_path, ALLOWED | {setting.name: setting.forbids}))
    assert found == setting
    assert f"sysctl -w {setting.name}={setting.allows}" in found.remedy


@pytest.mark.parametrize(
    "values", [{}, ALLOWED, {"user.max_user_namespaces": "96365"}, {"user.max_user_namespaces": ""}]
)
def test_where_nothing_forbids_nothing_is_named(tmp_path: Path, values: dict[str, str]) -> None:
    assert forbidding(shown(tmp_path, values)) is None
