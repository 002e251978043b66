"""Every check of a machine has its heading, and every heading its check."""

from __future__ import annotations

import re

from tests.house.reading import ROOT

from bascule.checkup.checks import CHECKS
from bascule.checkup.kernel import KNOWN
from bascule.core.rights import POWERS

PAGE = (ROOT / "docs" / "host-check.md").read_text("utf-8")


def test_checks_are_headings_in_the_same_order() -> None:
    assert re.findall(r"^## `([a-z_.]+)`$", PAGE, re.MULTILINE) == [name for name, _ in CHECKS]


def test_what_is_said_of_a_mac_has_its_headings_too() -> None:
    source = (ROOT / "src" / "bascule" / "checkup" / "tcc.py").read_text("utf-8")
    headings = re.findall(r"^### `([a-z_.]+)`$", (ROOT / "docs" / "macos.md").read_text("utf-8"), re.MULTILINE)
    assert headings
    assert set(headings) == set(re.findall(r'"(mac\.[a-z_]+)"', source))


def test_every_group_and_every_setting_is_named() -> None:
    named = set(re.findall(r"`([^`\s]+)`", PAGE))
    assert set(POWERS) - {"root"} <= named
    assert {name for name in KNOWN if not name.startswith(("user.", "kernel.core_pattern", "kernel.apparmor"))} - {
        "kernel.unprivileged_userns_clone"
    } <= named
