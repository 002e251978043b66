import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Unavailable
from bascule.host.sudoers import parse, read


def who(text, uid=7, names=("bot",), groups=("bot", "crew"), gids=(7, 50)):
    found, _ = parse(text, "f")
    assert found.unread == ()
    return [rule.where for rule in found.naming(uid, names, groups, gids)]


@pytest.mark.parametrize(
    "line",
    [
        "bot ALL=(ALL:ALL) ALL",
        "bot\tALL = /usr/bin/id",
        "ann, bot,carl ALL=ALL",
        "ann ,\tbot ALL=ALL",
        "#7 ALL=(ALL) NOPASSWD: ALL",
        "%crew ALL=(root) /bin/ls",
        "%#50 ALL=ALL",
        '"bot" ALL=ALL',
        '"%crew" ALL=ALL',
        "b\\ot ALL=ALL",
        "ALL ALL=(ALL) ALL",
        "ALL, !ann ALL=ALL",
        "!bot, bot ALL=ALL",
        "! ! bot ALL=ALL",
        "bot ALL=ALL # the operator's own",
        "bot HOST=/bin/a, /bin/b : OTHER=/bin/c",
        "bot \\\n  ALL=\\\nALL",
    ],
)
def test_a_rule_that_names_an_account_is_found(line):
    assert len(who(line)) == 1
    assert who(line, uid=8, names=(), groups=(), gids=()) == []


@pytest.mark.parametrize(
    "line",
    [
        "# bot ALL=ALL",
        "#bot ALL=ALL",
        "bots ALL=ALL",
        "%bots ALL=ALL",
        "ALL, !bot ALL=ALL",
        "#77 ALL=ALL",
        "%#5 ALL=ALL",
        "root ALL=(bot) ALL",
        "Defaults:bot !requiretty",
        "Cmnd_Alias BOT = /bin/bot",
        "Runas_Alias X = bot",
        "",
    ],
)
def test_a_line_that_names_somebody_else_is_not(line):
    assert who(line) == []


def test_an_account_without_a_name_is_refused_by_sudo_unless_its_number_stands_there():
    assert who("ALL ALL=ALL", names=(), groups=(), gids=()) == []
    assert who("#7 ALL=ALL", names=(), groups=(), gids=()) == ["f:1"]


def test_aliases_are_followed_and_one_that_names_itself_ends():
    text = "User_Alias STAFF = ann, %crew : LOOP = LOOP, carl\nSTAFF ALL=ALL\nLOOP ALL=ALL\n!STAFF ALL=ALL\n"
    assert who(text) == ["f:2"]
    assert who(text, names=("carl",), groups=(), gids=()) == ["f:3"]


def test_whether_a_password_is_asked_for_and_where_a_rule_begins_is_told():
    found, _ = parse("# x\nbot ALL = \\\n  NOPASSWD : /bin/id\nbot ALL=/bin/id\n", "/etc/sudoers")
    assert [(rule.where, rule.free) for rule in found.rules] == [("/etc/sudoers:2", True), ("/etc/sudoers:4", False)]


@pytest.mark.parametrize(
    "line", ["bot", "bot ALL", "= ALL", '"bot ALL=ALL', "User_Alias x = bot", "User_Alias A =", ","]
)
def test_what_cannot_be_understood_is_said(line):
    found, _ = parse(line, "f")
    assert (found.rules, len(found.unread)) == ((), 1)


WORDS = st.sampled_from(["bot", "ALL", "=", ",", " ", "!", "#7", "%crew", '"', "\\\n", ":", "(ALL)", "User_Alias A"])


@given(st.lists(WORDS).map("".join))
def test_no_line_with_a_rule_in_it_passes_without_a_word(line):
    found, _ = parse(line, "f")
    said = len(found.rules) + len(found.unread) + len(found.aliases)
    assert said or not line.replace("\\\n", "").strip()


@given(st.text())
def test_no_text_does_more_than_be_read(text):
    found, includes = parse(text, "f")
    assert len(found.rules) + len(found.unread) + len(includes) <= text.count("\n") + 1


class Machine:
    def __init__(self, **files):
        self.files = {f"/etc/{name.replace('__', '/')}": text for name, text in files.items()}

    def text_of(self, path):
        if self.files.get(path) == "closed":
            raise Unavailable("table_unreadable", f"{path} cannot be read")
        return self.files.get(path)

    def names_in(self, directory):
        found = [path.removeprefix(f"{directory}/") for path in self.files if path.startswith(f"{directory}/")]
        if not found:
            raise FileNotFoundError
        return found

    def read(self):
        return read("/etc/sudoers", self.text_of, self.names_in)


@pytest.mark.parametrize("word", ["#includedir /etc/d", "@includedir /etc/d", "@includedir d", '@includedir "/etc/d"'])
def test_included_files_are_read_in_order_but_not_what_sudo_passes_over(word):
    machine = Machine(sudoers=f"a ALL=ALL\n{word}\nz ALL=ALL", d__b="b ALL=ALL", d__c="c ALL=ALL")
    machine.files |= {"/etc/d/c~": "d ALL=ALL", "/etc/d/e.bak": "e ALL=ALL"}
    rules = machine.read().rules
    assert {rule.users[0].name for rule in rules} == {"a", "b", "c", "z"}


def test_a_file_that_cannot_be_read_a_directory_that_is_missing_and_a_circle_are_said():
    assert Machine().read() == Machine().read().__class__()
    assert len(Machine(sudoers="closed").read().unread) == 1
    assert Machine(sudoers="@includedir /etc/none").read().unread == ()
    circle = Machine(sudoers="@include /etc/sudoers\nbot ALL=ALL").read()
    assert any("too many" in line for line in circle.unread)
    assert circle.rules
    assert Machine(sudoers="@include /etc/%h").read().unread
