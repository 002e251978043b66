import os

import pytest

from bascule.core.errors import Tampered, Unavailable
from bascule.host.policy_files import load, places

CONFIG = b'{agents: {list: [{id: "one"}]}}'


def test_a_home_without_a_policy_says_how_to_make_one(tmp_path):
    with pytest.raises(Unavailable) as refused:
        load(tmp_path)
    assert (refused.value.code, "bascule init" in refused.value.remedy) == ("policy_missing", True)


def test_a_policy_is_read_with_the_surroundings_it_needs(tmp_path):
    (tmp_path / "bascule.json5").write_bytes(CONFIG)
    (tmp_path / "bascule.json5").chmod(0o644)
    loaded = load(tmp_path)
    assert list(loaded.policy.agents) == ["one"]
    assert loaded.policy.agents["one"].layout.agent_root == f"{os.path.realpath(tmp_path)}/agents/one"
    assert any(path.endswith("/bascule") for path in places(tmp_path).protected)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_policy_that_others_may_write_is_not_believed(tmp_path, mode):
    (tmp_path / "bascule.json5").write_bytes(CONFIG)
    (tmp_path / "bascule.json5").chmod(mode)
    with pytest.raises(Tampered):
        load(tmp_path)
