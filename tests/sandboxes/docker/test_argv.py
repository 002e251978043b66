"""The body of a container: a table of what is always so, and of what values change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bascule.core.confinement import Limits
from bascule.sandboxes.docker.argv import (
    LABELS,
    LINE,
    OWN_MEMORY,
    OWN_PROCESSES,
    PYTHON,
    SCRATCHES,
    Container,
    container_body,
    resident_argv,
)
from bascule.sandboxes.warden.stage import Bind

PLAIN = Container(
    "sha256:" + "a" * 64,
    1_900_000_001,
    (Bind("/h/agents/a", "/workspace"), Bind("/h/agents/a/workspace", "/workspace/workspace", writable=True)),
    (),
    Limits(64 << 20, 16, 20, 30, 1 << 16, 1 << 20, cpus=1500),
    32 << 20,
    dict.fromkeys(LABELS, "x"),
)


def at(body: Any, path: str) -> Any:
    """What stands at a dotted path."""
    for part in path.split("."):
        body = body[part]
    return body


ALWAYS = [
    ("User", "1900000001:1900000001"),
    ("Entrypoint", []),
    ("Cmd", list(resident_argv("/opt/bascule"))),
    ("Env", []),
    ("NetworkDisabled", True),
    ("Tty", False),
    ("OpenStdin", False),
    ("Healthcheck", {"Test": ["NONE"]}),
    ("HostConfig.NetworkMode", "none"),
    ("HostConfig.IpcMode", "none"),
    ("HostConfig.CgroupnsMode", "private"),
    ("HostConfig.CapDrop", ["ALL"]),
    ("HostConfig.CapAdd", []),
    ("HostConfig.Privileged", False),
    ("HostConfig.ReadonlyRootfs", True),
    ("HostConfig.SecurityOpt", ["no-new-privileges:true"]),
    ("HostConfig.Devices", []),
    ("HostConfig.Init", False),
    ("HostConfig.AutoRemove", True),
    ("HostConfig.RestartPolicy", {"Name": "no", "MaximumRetryCount": 0}),
    ("HostConfig.PublishAllPorts", False),
    ("HostConfig.Memory", (64 << 20) + OWN_MEMORY),
    ("HostConfig.MemorySwap", (64 << 20) + OWN_MEMORY),
    ("HostConfig.PidsLimit", 16 + OWN_PROCESSES),
    ("HostConfig.CpuQuota", 150_000),
    ("HostConfig.CpuPeriod", 100_000),
    ("HostConfig.LogConfig.Type", "none"),
    ("Labels", dict.fromkeys(LABELS, "x")),
]


@pytest.mark.parametrize(("path", "value"), ALWAYS, ids=[path for path, _ in ALWAYS])
def test_what_a_container_is_made_with(path: str, value: Any) -> None:
    assert at(container_body(PLAIN, "/opt/bascule"), path) == value


def test_a_filter_of_the_operators_is_added_and_takes_nothing_away() -> None:
    body = container_body(replace(PLAIN, seccomp='{"defaultAction": "SCMP_ACT_ERRNO"}'), "/opt/bascule")
    options = ["no-new-privileges:true", 'seccomp={"defaultAction": "SCMP_ACT_ERRNO"}']
    assert at(body, "HostConfig.SecurityOpt") == options


def test_nothing_shares_a_namespace_or_drops_a_filter() -> None:
    host = at(container_body(PLAIN, "/opt/bascule"), "HostConfig")
    assert not {"PidMode", "UsernsMode", "UTSMode", "VolumesFrom", "Binds", "Links", "DeviceRequests"} & set(host)
    assert not any(option.startswith(("seccomp", "apparmor", "label")) for option in host["SecurityOpt"])


def test_binds_are_read_only_unless_they_are_to_be_written() -> None:
    mounts = at(container_body(PLAIN, "/opt/bascule"), "HostConfig.Mounts")
    assert [(mount["Type"], mount["Target"], mount["ReadOnly"]) for mount in mounts] == [
        ("bind", "/workspace", True),
        ("bind", "/workspace/workspace", False),
    ]
    assert {mount["BindOptions"]["Propagation"] for mount in mounts} == {"rprivate"}


def test_scratch_places_run_nothing_and_covers_hold_nothing() -> None:
    tmpfs = at(container_body(replace(PLAIN, covered=("/workspace/tools",)), "/c"), "HostConfig.Tmpfs")
    assert set(tmpfs) == {*SCRATCHES, "/workspace/tools"}
    assert all({"noexec", "nosuid", "nodev"} <= set(options.split(",")) for options in tmpfs.values())
    assert "ro" in tmpfs["/workspace/tools"].split(",")
    assert f"size={32 << 20}" in tmpfs["/tmp"].split(",")


def test_the_first_process_is_ours_and_isolated() -> None:
    words = resident_argv("/opt/bascule")
    assert (words[0], words[1:3], words[-2:]) == (PYTHON, ("-I", "-S"), ("/opt/bascule", LINE))
