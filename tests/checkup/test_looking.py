import os
import stat

import pytest

from bascule.checkup.looking import files_below, look, parse_acl, way_to
from bascule.checkup.ownership import Grant
from bascule.core.errors import Unavailable
from bascule.host.directories import acl


def names(way):
    return [thing.path for _, thing in way.steps]


def test_the_way_holds_every_directory_from_the_root_on(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_text("x")
    way = way_to(f"{tmp_path}/./a//f")
    assert names(way) == [
        "/",
        *(str(parent) for parent in reversed(tmp_path.parents[:-1])),
        *map(str, (tmp_path, tmp_path / "a", tmp_path / "a/f")),
    ]
    assert stat.S_ISREG(way.end.kind)
    assert not way.missing
    assert [holder.path for holder, _ in way.steps if holder is not None] == names(way)[:-1]


def test_a_link_is_a_step_and_so_is_where_it_leads(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "f").write_text("x")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "link").symlink_to("../real")
    (tmp_path / "far" / "whole").symlink_to(tmp_path / "real")
    for link in ("link", "whole"):
        way = way_to(f"{tmp_path}/far/{link}/f")
        assert way.end.path == f"{tmp_path}/real/f"
        assert f"{tmp_path}/far/{link}" in names(way)
        kinds = {thing.path: thing.kind for _, thing in way.steps}
        assert stat.S_ISLNK(kinds[f"{tmp_path}/far/{link}"])


@pytest.mark.parametrize("target", ["none", "f/below"])
def test_what_is_not_there_ends_at_the_last_directory_that_is(tmp_path, target):
    (tmp_path / "f").write_text("x")
    way = way_to(f"{tmp_path}/{target}")
    assert way.missing
    assert way.end.path == (f"{tmp_path}/f" if target == "f/below" else str(tmp_path))


def test_a_link_to_nowhere_ends_where_the_file_would_be(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("d/none")
    way = way_to(f"{tmp_path}/l")
    assert way.missing
    assert way.end.path == f"{tmp_path}/d"


def test_links_in_a_circle_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unavailable) as refused:
        way_to(f"{tmp_path}/a")
    assert refused.value.code == "path_closed"
    assert len(os.listdir("/proc/self/fd")) == before


def test_nothing_is_opened_that_could_notice(tmp_path):
    os.mkfifo(tmp_path / "fifo")  # opening it for reading would wait for a writer
    assert stat.S_ISFIFO(way_to(f"{tmp_path}/fifo").end.kind)


def test_an_access_list_is_read_with_its_mask(tmp_path):
    content = acl({7: 6, 8: 4}, 0o640)
    assert parse_acl(content, 50) == (Grant(False, 7, 6), Grant(False, 8, 4), Grant(True, 50, 4))
    masked = bytearray(content)
    place = next(place for place in range(4, len(masked), 8) if masked[place] == 0x10)
    masked[place + 2] = 4
    assert parse_acl(bytes(masked), 50)[0] == Grant(False, 7, 4)
    assert parse_acl(b"", 50) == ()
    (tmp_path / "f").write_text("x")
    os.setxattr(tmp_path / "f", "system.posix_acl_access", content)
    descriptor = os.open(tmp_path / "f", os.O_PATH)
    try:
        assert Grant(False, 7, 6) in look(descriptor, "f").grants
    finally:
        os.close(descriptor)


def test_what_lies_below_is_listed_and_no_link_is_followed(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    (tmp_path / "l").symlink_to("/usr")
    assert sorted(files_below(str(tmp_path))) == [f"{tmp_path}/{name}" for name in ("d", "d/f", "l")]
    assert list(files_below(f"{tmp_path}/none")) == []
    assert list(files_below(f"{tmp_path}/l")) == []
