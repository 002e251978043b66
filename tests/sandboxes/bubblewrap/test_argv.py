"""The command line of bubblewrap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bascule.sandboxes.bubblewrap.argv import ENVIRONMENT, STAGE, Descriptors, box_argv

words = st.lists(st.text(st.characters(blacklist_characters="\0"), max_size=20), max_size=5)


@given(words)
def test_command_stands_behind_the_options_untouched(rest: list[str]) -> None:
    argv = box_argv(("/usr/bin/grep", *rest), Descriptors(4, 3))
    at = argv.index("--")
    assert argv[at + 1 :] == ("/usr/bin/grep", *rest)


def test_what_its_launcher_has_not_left_is_left_and_nothing_of_the_environment_stays() -> None:
    argv = box_argv(("/usr/bin/true",), Descriptors(4, 3))
    assert {word for word in argv if "share" in word} == {"--unshare-user", "--unshare-pid", "--unshare-cgroup-try"}
    assert {"--die-with-parent", "--new-session", "--clearenv"} <= set(argv)
    sets = [argv[at + 1] for at, word in enumerate(argv) if word == "--setenv"]
    assert sets == list(ENVIRONMENT)


def test_root_is_the_stage_and_nothing_else_is_bound() -> None:
    argv = box_argv(("/usr/bin/true",), Descriptors(4, 3))
    assert [argv[at : at + 3] for at, word in enumerate(argv) if "bind" in word] == [("--dev-bind", STAGE, "/")]


def test_descriptors_are_named() -> None:
    argv = box_argv(("/usr/bin/true",), Descriptors(4, 3, 5), directory="/", environment={})
    for option, value in (("--seccomp", "4"), ("--json-status-fd", "3"), ("--block-fd", "5"), ("--chdir", "/")):
        assert argv[argv.index(option) + 1] == value
    assert "--block-fd" not in box_argv(("/usr/bin/true",), Descriptors(4, 3))
    assert "--setenv" not in argv
