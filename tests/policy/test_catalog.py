"""Names, groups and profiles."""

from __future__ import annotations

import pytest

from bascule.core.errors import Malformed
from bascule.policy.catalog import GROUPS, PROFILES, TOOLS, examine_allow, expand, names, normalise, profile_tools


def test_one_tool_has_one_name() -> None:
    assert [normalise(name) for name in (" BASH ", "apply-patch", "View_Image", "read")] == [
        "exec",
        "apply_patch",
        "image",
        "read",
    ]


def test_groups_expand_once_and_are_not_patterns() -> None:
    assert expand(["group:fs", "read", "BASH"]) == ("read", "write", "edit", "apply_patch", "exec")
    assert expand(["group:*"]) == ("group:*",)
    assert not names(expand(["group:*"]), "read")


def test_a_servers_name_means_its_tools() -> None:
    bundles = {"files": ("files__a", "files__b"), "net": ("net__c",)}
    assert expand(["files", "read"], bundles) == ("files__a", "files__b", "read")
    assert expand(["group:mcp"], bundles) == expand(["group:plugins"], bundles) == ("files__a", "files__b", "net__c")


def test_the_patch_tool_follows_write_both_ways() -> None:
    assert names(("write",), "apply_patch")
    assert not names(("apply_patch",), "write")


def test_every_tool_of_a_group_or_profile_is_in_the_catalogue() -> None:
    for members in (*GROUPS.values(), *(tools for tools in PROFILES.values() if tools is not None)):
        assert set(members) <= set(TOOLS)


def test_an_unknown_profile_never_means_everything() -> None:
    assert profile_tools("full") is None
    with pytest.raises(Malformed, match="no tool profile"):
        profile_tools("coder")


def test_an_allow_list_is_examined() -> None:
    report = examine_allow(["read", "wat", "web_*", "group:fs"], ["read", "web_fetch"], {})
    assert report.unknown == ("wat",)
    assert not report.servers_only
    assert examine_allow(["x"], ["read"], {"x": ("x__y",)}).servers_only
