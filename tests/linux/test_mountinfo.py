"""The kernel's table of mounts, read one way by all who need it."""

from __future__ import annotations

from bascule.linux.mountinfo import MountedAt, parse_mountinfo

TABLE = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 254:1 / /home rw,relatime shared:2 - ext4 /dev/vdb rw
25 22 254:0 /srv/data /mnt/my\040data rw,relatime - ext4 /dev/vda rw
26 22 254:0 / /media/root ro,relatime - ext4 /dev/vda rw
27 22 254:0 /srv/data/home/state /var/state rw,relatime - ext4 /dev/vda rw
28 22 254:1 /pat /srv/pat rw,relatime - ext4 /dev/vdb rw
29 24 254:1 /pat/back\134slash /home/pat/x rw,relatime - ext4 /dev/vdb rw
short line
no number here at all - x y z
30 22 0:30 / /opt rw,nosuid shared:3 master:1 - tmpfs none rw
"""


def test_the_table_is_read_with_its_escapes() -> None:
    mounts = parse_mountinfo(TABLE)
    options = ("rw", "relatime")
    assert mounts[3] == MountedAt(25, "254:0", "/srv/data", "/mnt/my data", options, "ext4")
    assert mounts[-2] == MountedAt(29, "254:1", "/pat/back\\slash", "/home/pat/x", options, "ext4")
    assert mounts[-1] == MountedAt(30, "0:30", "/", "/opt", ("rw", "nosuid"), "tmpfs")
    assert len(mounts) == 9


def test_our_own_table_is_understood() -> None:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        text = table.read()
    mounts = parse_mountinfo(text)
    assert len(mounts) == len(text.splitlines())
    assert all(mount.kind and mount.options and mount.place.startswith("/") for mount in mounts)
