"""Mounts of boxes take no part in what is mounted later; without the wall they would."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bascule.linux.calls import CLONE_NEWNS, MountFlag, attach_mount, clone_mount, mount_tmpfs, unshare

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("only root may mount", allow_module_level=True)

LOCKED = MountFlag.NO_SETUID | MountFlag.NO_DEVICES | MountFlag.NO_EXEC


def seen(folder: Path, flags: MountFlag) -> list[str]:
    """What a copy of a shared mount, made with these flags, shows after something was mounted below its source."""
    source, copy = folder / "source", folder / "copy"
    for path in (source, copy):
        path.mkdir()
    mount_tmpfs(str(source), mode=0o755, size=1 << 16)
    subprocess.run(["/usr/bin/mount", "--make-shared", str(source)], check=True)
    (source / "below").mkdir()
    descriptor = os.open(source, os.O_PATH)
    attach_mount(clone_mount(descriptor, flags, recursive=True), str(copy))
    mount_tmpfs(str(source / "below"), mode=0o755, size=1 << 16)
    (source / "below" / "later").touch()
    return os.listdir(copy / "below")


@pytest.mark.parametrize(("flags", "names"), [(MountFlag(0), b"['later']"), (LOCKED, b"[]")])
def test_what_is_mounted_later_comes_along_only_without_flags(tmp_path: Path, flags: MountFlag, names: bytes) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            unshare(CLONE_NEWNS)
            subprocess.run(["/usr/bin/mount", "--make-rprivate", "/"], check=True)
            os.write(tell, str(seen(tmp_path, flags)).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with open(told, "rb") as report:
        assert report.read() == names
    os.waitpid(child, 0)
