import os

import pytest

from bascule.core.errors import Unavailable
from bascule.host.prompts import MAX_PROMPT, read_prompts


def test_prompts_are_joined_in_order_and_absent_ones_passed_over(tmp_path):
    (tmp_path / "a.md").write_text("one\n")
    (tmp_path / "b.md").write_text("two\n")
    (tmp_path / "empty.md").write_text("\n")
    names = ("a.md", "none.md", "empty.md", "b.md")
    assert read_prompts(str(tmp_path / name) for name in names) == "one\n\ntwo"


def test_what_is_no_plain_text_is_refused_at_once(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "x")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "long").write_bytes(b"x" * (MAX_PROMPT + 1))
    (tmp_path / "directory").mkdir()
    for name in ("link", "fifo", "binary", "long", "directory"):
        with pytest.raises(Unavailable) as refused:
            read_prompts([str(tmp_path / name)])
        assert refused.value.code == "prompt_unreadable"
