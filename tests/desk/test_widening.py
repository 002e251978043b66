"""The narrowest extent over several calls: it covers them, and nothing that they do not make necessary."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import LAYOUT, command, exec_call, file_call
from tests.desk.test_extent import PYTHON, SH, WC, line, use

from bascule.core.errors import Malformed, NotPermitted
from bascule.core.paths import Access
from bascule.core.plan import Program, ProgramKind, Streams
from bascule.desk.extent import Extent, covers, extent_of
from bascule.desk.widening import Pattern, by_hand, in_words, narrowest, widen

GIT = Program("git", "/usr/bin/git", ProgramKind.NATIVE, "9" * 64)


def count(path: str, *options: str) -> Extent:
    return extent_of(line(WC, *options, path, paths=(path,)))


def git(*words: str) -> Extent:
    return extent_of(line(GIT, *words))


def python(*words: str, **bindings: str) -> Extent:
    return extent_of(line(PYTHON, *words, **bindings))


def both(one: Extent, other: Extent) -> Extent:
    found = widen(one, other)
    assert found is not None
    assert covers(found, one)
    assert covers(found, other)
    return found


def test_files_widen_to_the_directory_they_share() -> None:
    found = both(count("workspace/notes/a"), count("workspace/notes/b"))
    assert covers(found, count("workspace/notes/c"))
    assert covers(found, count("workspace/notes/deep/c"))
    for other in ("workspace/c", "workspace/notes-2/c", "memory/c", "/etc/hosts"):
        assert not covers(found, count(other))


def test_a_word_with_a_name_keeps_its_name() -> None:
    found = both(git("x1", "if=1"), git("x1", "if=2"))
    assert covers(found, git("x1", "if=3"))
    assert not covers(found, git("x1", "of=1"))
    assert not covers(found, git("x1", "1"))
    assert "if=<any value>" in in_words(found)[0]


def test_what_both_have_stays_exact() -> None:
    one = extent_of(line(WC, "workspace/list", "workspace/x/a", paths=("workspace/list", "workspace/x/a")))
    two = extent_of(line(WC, "workspace/list", "workspace/x/b", paths=("workspace/list", "workspace/x/b")))
    found = both(one, two)
    other = extent_of(line(WC, "workspace/list", "workspace/y", paths=("workspace/list", "workspace/y")))
    assert not covers(found, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (count("a"), count("a", "-l")),
        (count("a", "-l"), count("a", "-c")),
        (count("a", "--x=1"), count("a", "--y=1")),
        (git("x1", "if=1"), git("x1", "of=1")),
        (git("x1", "if=1"), git("x1", "1")),
        (count("a", "-l"), count("b", "x")),
        (count("/srv/a"), count("/etc/hosts")),
        (count("/mnt/a"), count("/mnt/b")),
        (git("status"), git("push")),
        (git("remote", "add", "one"), git("remote", "remove", "one")),
        (git("log"), extent_of(line(replace(GIT, sha256="8" * 64), "log"))),
        (extent_of(file_call("a")), extent_of(file_call("a", Access.WRITE, "write"))),
        (python("-c", "one"), python("-c", "two")),
        (python("a.py", "1", script_0="x"), python("b.py", "1", script_0="y")),
        (python("a.py", "1", script_0="x"), python("a.py", "2", script_0="y")),
        (python("-u", "a.py", script_0="x"), python("-B", "a.py", script_0="x")),
        (extent_of(exec_call(command(WC, "a"), command(SH))), extent_of(exec_call(command(WC, "b"), command(SH)))),
    ],
)
def test_what_is_not_alike_enough_is_not_put_together(one: Extent, other: Extent) -> None:
    assert widen(one, other) is None
    assert widen(other, one) is None


def test_arguments_of_one_script_may_vary_and_the_script_may_not() -> None:
    found = both(python("tools/calc.py", "1", script_0="x"), python("tools/calc.py", "2", script_0="x"))
    assert covers(found, python("tools/calc.py", "99", script_0="x"))
    assert not covers(found, python("tools/calc.py", "99", script_0="y"))
    assert not covers(found, python("tools/other.py", "99", script_0="x"))
    assert not covers(found, python("tools/calc.py", "--delete", script_0="x"))


def test_a_programs_verbs_stay_and_what_follows_widens() -> None:
    found = both(git("log", "-n", "5", "v1.0"), git("log", "-n", "7", "v1.1"))
    assert covers(found, git("log", "-n", "9", "v2.0"))
    assert not covers(found, git("push", "-n", "9", "v2.0"))
    assert covers(both(git("log", "--max-count=5"), git("log", "--max-count=7")), git("log", "--max-count=9"))


def test_a_redirects_file_widens_to_its_directory() -> None:
    def kept(path: str) -> Extent:
        made = replace(command(WC, "-l"), streams=Streams(stdout=path))
        return extent_of(exec_call(made, paths=(use(path, Access.WRITE),)))

    found = both(kept("output/a"), kept("output/b"))
    assert covers(found, kept("output/c"))
    assert not covers(found, kept("memory/c"))


def test_an_edited_file_may_have_changed_if_it_had_before() -> None:
    def edit(was: str) -> Extent:
        call = file_call("a", Access.WRITE, "edit", args={"path": "a", "oldText": was, "newText": "n"})
        return extent_of(replace(call, bindings={"pre_image": was}))

    assert covers(both(edit("one"), edit("two")), edit("three"))


NAMES = st.sampled_from(
    ["workspace/a", "workspace/b", "workspace/n/c", "memory/d", "/srv/x/e", "/srv/x/f", "-l", "--m=1"]
)


@st.composite
def lines(draw: st.DrawFn) -> Extent:
    words = draw(st.lists(NAMES, max_size=3))
    program = draw(st.sampled_from([WC, GIT, PYTHON]))
    return extent_of(line(program, *words, paths=tuple(word for word in words if not word.startswith("-"))))


@given(lines(), lines(), lines())
def test_widening_covers_both_and_is_the_same_either_way(one: Extent, two: Extent, three: Extent) -> None:
    found = widen(one, two)
    turned = widen(two, one)
    assert (found is None) == (turned is None)
    if found is None or turned is None:
        return
    assert covers(found, one)
    assert covers(found, two)
    assert covers(found, three) == covers(turned, three)


@given(lines(), st.lists(lines(), max_size=4))
def test_a_proposal_covers_what_it_says_it_does(latest: Extent, earlier: list[Extent]) -> None:
    found, covered = narrowest(latest, earlier)
    assert covers(found, latest)
    assert sum(covers(found, one) for one in earlier) + 1 >= covered


def test_a_pattern_by_hand() -> None:
    exact = count("workspace/notes/a", "-l")
    made = by_hand(exact, Pattern("-l *", "workspace/notes"), LAYOUT)
    assert covers(made, count("workspace/notes/b", "-l"))
    assert not covers(made, count("workspace/b", "-l"))
    assert by_hand(exact, Pattern(None, "workspace"), LAYOUT).tokens == exact.tokens


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        (Pattern("-c *", None), "grant_misses"),
        (Pattern("-l", None), "grant_misses"),
        (Pattern("-l '*'", None), "grant_misses"),
        (Pattern("-l work*", None), "grant_terms"),
        (Pattern("-l *; rm x", None), "grant_terms"),
        (Pattern("-l * > x", None), "grant_terms"),
        (Pattern("$(x)", None), "grant_terms"),
        (Pattern("-l ?", None), "grant_terms"),
        (Pattern(None, "memory"), "grant_misses"),
        (Pattern(None, "/"), "grant_never"),
        (Pattern(None, "/srv"), "grant_never"),
        (Pattern(None, "/etc/ssh"), "grant_never"),
    ],
)
def test_a_pattern_that_misses_or_makes_no_sense(pattern: Pattern, code: str) -> None:
    with pytest.raises((Malformed, NotPermitted)) as caught:
        by_hand(count("workspace/notes/a", "-l"), pattern, LAYOUT)
    assert caught.value.code == code


@pytest.mark.parametrize("pattern", ["* 1", "*"])
def test_no_pattern_lets_an_interpreter_run_anything(pattern: str) -> None:
    exact = python("tools/calc.py", *pattern.split()[1:], script_0="x")
    with pytest.raises(NotPermitted) as caught:
        by_hand(exact, Pattern(pattern, None), LAYOUT)
    assert caught.value.code == "grant_never"


def test_a_pattern_of_arguments_is_for_one_program() -> None:
    with pytest.raises(Malformed):
        by_hand(extent_of(exec_call(command(WC), command(WC))), Pattern("*", None), LAYOUT)


def test_in_words_says_what_is_covered_and_what_else() -> None:
    found = "\n".join(in_words(both(count("workspace/notes/a", "-l"), count("workspace/notes/b", "-l"))))
    assert "/usr/bin/wc -l <any word but an option>" in found
    assert f"reading anything under {LAYOUT.agent_root}/workspace/notes" in found
    assert found.count("so also") == 2
    assert "so also" not in "\n".join(in_words(count("a")))


def test_words_that_look_like_a_pattern_are_quoted() -> None:
    shown = in_words(extent_of(line(WC, "<any word but an option>")))[0]
    assert "'<any word but an option>'" in shown
