import os

import pytest

from bascule.core.errors import BasculeError
from bascule.host.policy_file import MAX_BYTES, read_policy_file

CONFIG = b'{agents: {list: [{id: "one"}]}}'


def test_links_devices_fifos_and_giants_are_refused_at_once(tmp_path):
    (tmp_path / "real").write_bytes(CONFIG)
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "giant").touch(mode=0o644)
    os.truncate(tmp_path / "giant", MAX_BYTES + 1)
    for name in ("link", "fifo", "giant", ""):
        with pytest.raises(BasculeError):
            read_policy_file(tmp_path / name)
    assert read_policy_file(tmp_path / "none") is None
