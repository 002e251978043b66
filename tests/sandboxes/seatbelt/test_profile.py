import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Malformed
from bascule.sandboxes.seatbelt.profile import UNTESTED, Wanted, profile, quoted

WANTED = Wanted("main", ("/Users/b/agents/main",), ("/Users/b/agents/main/workspace",), ("/bin/ls", "/usr/bin/grep"))


def forms(text: str) -> list[str]:
    """The top-level forms of a profile, read as Scheme reads them: by parentheses outside strings and comments."""
    found, depth, start, place = [], 0, 0, 0
    while place < len(text):
        letter = text[place]
        if letter == ";":
            place = text.index("\n", place)
        elif letter == '"':
            place += 1
            while text[place] != '"':
                place += 2 if text[place] == "\\" else 1
        elif letter == "(":
            start = place if depth == 0 else start
            depth += 1
        elif letter == ")":
            depth -= 1
            assert depth >= 0
            if depth == 0:
                found.append(text[start : place + 1])
        place += 1
    assert depth == 0
    return found


def test_everything_is_denied_first_and_the_network_last():
    found = forms(profile(WANTED))
    assert found[:2] == ["(version 1)", "(deny default)"]
    assert found[-1] == "(deny network*)"
    assert profile(WANTED).startswith(f"; {UNTESTED}\n")


def test_only_what_is_wanted_is_named():
    found = forms(profile(WANTED))
    [starts] = [form for form in found if form.startswith("(allow process-exec*")]
    assert re.findall(r'\((\w+) "([^"]+)"\)', starts) == [("literal", "/bin/ls"), ("literal", "/usr/bin/grep")]
    [writes] = [form for form in found if form.startswith("(allow file-write*")]
    assert re.findall(r'"([^"]+)"', writes) == list(WANTED.write)
    [never] = [form for form in found if form.startswith("(deny process-exec*")]
    assert re.findall(r'"([^"]+)"', never) == list(WANTED.write)
    assert found.index(never) > found.index(starts)
    assert not [form for form in found if "network" in form and form.startswith("(allow")]


def test_an_agent_with_nothing_gets_nothing():
    found = forms(profile(Wanted("main", (), (), ())))
    assert not [form for form in found if "process-exec" in form or "file-write*" in form]


@pytest.mark.parametrize(
    "path", ["", "a", "/a/../b", "/a/./b", "/a//b", "/a/", "/a\nb", "/a\0", "/" + "x" * 2000, "/\u202ea"]
)
def test_a_path_that_is_not_plain_is_refused(path):
    with pytest.raises(Malformed) as refused:
        profile(Wanted("main", (path,), (), ()))
    assert refused.value.code == "seatbelt_path"


def test_the_root_is_no_directory_to_open():
    for wanted in (Wanted("main", ("/",), (), ()), Wanted("main", (), ("/",), ())):
        with pytest.raises(Malformed):
            profile(wanted)
    assert quoted("/", whole=True) == '"/"'


@given(st.text(min_size=1), st.text())
def test_no_path_and_no_name_says_more_than_itself(path, name):
    plain = Wanted("main", ("/a",), ("/b",), ("/c",))
    try:
        text = profile(Wanted(name, (f"/{path}",), ("/b",), ("/c",)))
    except Malformed:
        return
    shapes = [[re.sub(r'"(\\.|[^"\\])*"', '""', form) for form in forms(each)] for each in (text, profile(plain))]
    assert shapes[0] == shapes[1]
