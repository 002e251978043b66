import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Unavailable
from bascule.host.people import parse, read_tables, read_text

PASSWD = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000:Ann,,,:/home/ann:/bin/zsh\nbot:x:7:7::/:/usr/sbin/nologin\n"
GROUP = "root:x:0:\nann:x:1000:\nbot:x:7:\ndocker:x:999:ann, bot\nwheel:x:10:ann\nseven:x:7:\n"


def test_an_account_is_in_its_own_group_and_in_those_that_name_it():
    tables = parse(PASSWD, GROUP)
    assert tables.unread == 0
    assert [group.name for group in tables.groups_of(7)] == ["bot", "docker", "seven"]
    assert [group.name for group in tables.groups_of(8)] == []
    assert tables.members_of(999) == ("ann", "bot")
    assert tables.uids_in(999) == {1000, 7}
    assert (tables.called(7), tables.called(8)) == ("bot (uid 7)", "uid 8")


def test_two_names_of_one_account_are_one_account():
    tables = parse("a:x:7:100::/:/bin/sh\nb:x:7:200::/:/bin/sh\n", "x:x:100:\ny:x:200:\nz:x:300:b\n")
    assert [group.name for group in tables.groups_of(7)] == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("line", "unread"),
    [
        ("# a comment", 0),
        ("   ", 0),
        ("+::::::", 1),
        ("bot:x:seven:7::/:/bin/sh", 1),
        ("bot:x:-7:7::/:/bin/sh", 1),
        ("bot:x:\u0667:7::/:/bin/sh", 1),
        ("bot:x:7:7:/:/bin/sh", 1),
        (":x:7:7::/:/bin/sh", 1),
        ("bot:x:99999999999:7::/:/bin/sh", 1),
    ],
)
def test_what_is_no_row_is_counted_and_grants_nothing(line, unread):
    tables = parse(line, "")
    assert (tables.people, tables.unread) == ((), unread)


@given(st.text(), st.text())
def test_no_text_does_more_than_be_read(passwd, group):
    tables = parse(passwd, group)
    assert len(tables.people) + len(tables.groups) + tables.unread <= passwd.count("\n") + group.count("\n") + 2


def test_a_machine_elsewhere_is_read_and_a_missing_table_is_empty(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_bytes(PASSWD.encode() + b"\xff:x:9:9::/:/bin/sh\n")
    found = read_tables(str(tmp_path))
    assert [person.uid for person in found.people] == [0, 1000, 7, 9]
    assert found.groups == ()


@pytest.mark.parametrize("kind", ["large", "fifo", "directory"])
def test_what_is_no_table_is_refused_and_waits_for_nobody(tmp_path, kind):
    path = tmp_path / "passwd"
    if kind == "large":
        path.write_text("x" * 101)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(Unavailable) as refused:
        read_text(str(path), largest=100)
    assert refused.value.code == "table_unreadable"
    assert read_text(str(tmp_path / "none")) is None
