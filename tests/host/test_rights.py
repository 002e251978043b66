import pytest
from tests.builders import AGENT

from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.rights import Account, Worth
from bascule.host import rights
from bascule.host.people import parse as parse_tables
from bascule.host.people import read_tables
from bascule.host.rights import Rights, describe, from_json, to_json
from bascule.host.sudoers import Sudoers, parse

PASSWD = "bot:x:7:7::/:/bin/sh\n"
GROUP = "bot:x:7:\ndocker:x:999:bot\n"


def rules(text):
    return parse(text, "/etc/sudoers")[0]


def test_what_the_tables_and_sudo_say_of_an_account_is_one_value():
    found = describe(7, parse_tables(PASSWD, GROUP), rules("%docker ALL=(ALL) NOPASSWD: ALL\nann ALL=ALL"))
    assert found == Account(7, "bot", ("bot", "docker"), ("/etc/sudoers:1 (NOPASSWD)",))
    assert found.groups_worth(Worth.ROOT) == ("docker",)
    assert describe(8, parse_tables(PASSWD, GROUP), rules("ALL ALL=ALL")) == Account(8)


def test_the_gid_0_is_roots_group_whatever_it_is_called():
    found = describe(7, parse_tables("bot:x:7:0::/:/bin/sh", "harmless:x:0:\n"), Sudoers())
    assert found.groups_worth(Worth.ROOT) == ("root",)


def test_a_gid_without_a_group_is_a_number():
    assert describe(7, parse_tables("bot:x:7:42::/:/bin/sh", ""), Sudoers()).groups == ("42",)


def test_sudos_rules_survive_the_way_to_another_process():
    found = rules("User_Alias A = ann, !bot\nA, #7 ALL=NOPASSWD: ALL\nbroken")
    assert from_json(to_json(found)) == found
    assert found.unread
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_json(b"{}")


class Etc:
    def __init__(self, tmp_path, monkeypatch):
        self.folder = tmp_path
        self.write("passwd", PASSWD)
        self.write("group", "bot:x:7:\n")
        monkeypatch.setattr(rights, "TABLES", tuple(f"{tmp_path}/etc/{name}" for name in ("passwd", "group")))
        monkeypatch.setattr(rights, "read_tables", self.read)
        self.reads = 0
        self.closed = False

    def write(self, name, text):
        (self.folder / "etc").mkdir(exist_ok=True)
        (self.folder / "etc" / name).write_text(text)

    def read(self):
        self.reads += 1
        if self.closed:
            raise Unavailable("table_unreadable", "/etc/group cannot be read")
        return read_tables(str(self.folder))


@pytest.fixture
def etc(tmp_path, monkeypatch):
    return Etc(tmp_path, monkeypatch)


def test_a_table_is_read_once_until_it_changes(etc):
    looked = Rights({AGENT: 7}, Sudoers())
    assert [looked.of(AGENT).groups for _ in range(5)] == [("bot",)] * 5
    assert etc.reads == 1
    etc.write("group", GROUP)
    assert looked.of(AGENT).groups == ("bot", "docker")
    (etc.folder / "etc" / "group").unlink()
    etc.write("group", "bot:x:7:\n")
    assert looked.of(AGENT).groups == ("bot",)
    assert etc.reads == 3


def test_an_agent_without_an_account_has_none(etc):
    assert Rights({AGENT: 7}, Sudoers()).of(AgentId("other")) is None


def test_a_table_that_cannot_be_read_leaves_nobody_innocent(etc):
    etc.closed = True
    assert "cannot be read" in Rights({AGENT: 7}, Sudoers()).of(AGENT).unread
