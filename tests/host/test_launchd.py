"""The texts for macOS read as what they are; nobody has loaded them on a Mac."""

from __future__ import annotations

import plistlib

import pytest

from bascule.core.errors import Malformed
from bascule.host import launchd
from bascule.host.site import HOME, LOGS


def test_the_property_list_starts_the_gateway_of_the_installed_home() -> None:
    body = plistlib.loads(launchd.property_list("/opt/a b/<bascule>").encode())
    assert body["Label"] == launchd.LABEL
    assert body["ProgramArguments"] == ["/opt/a b/<bascule>", "--home", HOME, "gateway", "start", "--foreground"]
    assert body["KeepAlive"] == {"SuccessfulExit": False}


def test_the_log_is_rotated_by_one_line_of_seven_fields() -> None:
    line = launchd.newsyslog().splitlines()[-1].split()
    assert line == [f"{LOGS}/gateway.log", "root:wheel", "600", "8", "51200", "$W0", "JN"]


@pytest.mark.parametrize("path", ["relative", "/a\nb"])
def test_a_path_that_would_say_something_else_is_refused(path: str) -> None:
    with pytest.raises(Malformed):
        launchd.property_list(path)


def test_it_says_that_it_is_untested() -> None:
    assert launchd.__doc__ is not None
    assert "Untested" in launchd.__doc__
