"""T18: what the static checks of container-escape kits look for. A privileged container shows that they find it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attacks.probing import BACKENDS, KITS, READING, WRITING, inside, list_probe
from tests.living import Living, living
from tests.sandboxes import daemon

from bascule.core.policy import DEFAULT_IMAGE
from bascule.sandboxes.docker.engine import Engine

pytestmark = pytest.mark.live

MUST_FIND = (
    "capability CapEff", "no system call filter", "new privileges", "root", "system call unshare", "system call mount",
    "system call bpf", "system call open_by_handle_at", "socket /run/docker.sock", "family inet", "family netlink",
    "readable /proc/kcore", "readable /host", "readable /dev/kmsg", "writable /proc/sys/kernel/core_pattern",
    "writable /proc/sys/kernel/modprobe", "writable /proc/sysrq-trigger", "writable /usr/bin", "writable /etc",
    "device /dev/", "control group /sys/fs/cgroup", "writable /sys/fs/cgroup", "the host's processes", "process ",
    "mount / runs what is written", "mount / keeps set-user-id bits", "environment AWS_SECRET",
)  # fmt: skip
"""One of each kind of check."""


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        list_probe(made, program=KITS)

    with living(tmp_path_factory.mktemp("t18k") / "home", prepare, request.param) as made:
        yield made


def unconfined(folder: Path) -> set[str]:
    """What the same program finds in a container that has every right."""
    shutil.copy(KITS, folder / "kits.py")
    engine = Engine(daemon.SOCKET)
    image = engine.image(DEFAULT_IMAGE)
    assert image is not None
    words = (
        "import runpy, sys; sys.stdout = open('/out/found', 'w'); runpy.run_path('/out/kits.py', run_name='__main__')"
    )
    # Every right by itself: where this is tried, root may lack one of those that "privileged" would give.
    binds = [
        f"{folder}:/out",
        "/:/host:ro",
        f"{daemon.SOCKET}:/run/docker.sock",
        "/dev:/dev",
        "/sys/fs/cgroup:/sys/fs/cgroup",
    ]
    made, _ = engine.create(
        f"bascule-test-unconfined-{folder.parent.name}-{time.monotonic_ns()}",
        {
            "Image": image["Id"], "Entrypoint": [], "Cmd": ["/usr/bin/python3", "-IS", "-c", words, "kit"],
            "Env": ["AWS_SECRET_ACCESS_KEY=x"], "User": "0:0",
            "HostConfig": {
                "CapAdd": ["SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "DAC_READ_SEARCH", "SYSLOG", "NET_ADMIN"],
                "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"], "MaskedPaths": [], "ReadonlyPaths": [],
                "DeviceCgroupRules": ["a *:* rwm"], "CgroupnsMode": "host", "PidMode": "host", "NetworkMode": "host",
                "Binds": binds,
            },
        },
    )  # fmt: skip
    try:
        engine.start(made)
        deadline = time.monotonic() + 60
        while (engine.inspect(made) or {"State": {}})["State"].get("Running") and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        engine.remove(made)
    return set(json.loads((folder / "found").read_text()))


def test_in_a_container_with_every_right_they_find_a_way(tmp_path: Path) -> None:
    found = unconfined(tmp_path)
    assert [
        kind for kind in MUST_FIND if is_here(kind.split()[-1]) and not any(each.startswith(kind) for each in found)
    ] == []


def is_here(word: str) -> bool:
    """True unless it names a part of the kernel that this one was built without, or that even root may not open here."""
    if not word.startswith("/proc/"):
        return True
    try:
        with open(word, "rb"):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("tool", [READING, WRITING])
def test_in_a_box_they_find_nothing_to_use(house: Living, tool: str) -> None:
    further = [daemon.SOCKET, str(house.home / "run" / "control.sock"), str(house.home / "state" / "bascule.db")]
    found = set(inside(house, "kit", *further, tool=tool))
    if house.backend == "bubblewrap":
        # The first process of a box is as much confined as the program, has its account and ends with it.
        found = {each for each in found if each not in FIRST_PROCESS}
    assert found == set()


FIRST_PROCESS = {
    "readable /proc/1/environ",
    "readable /proc/1/root/",
    "writable /proc/1/oom_score_adj",
    "writable /proc/1/mem",
}
