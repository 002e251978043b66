"""The operand table against itself and against the programs installed here."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from bascule.shell.operand_table import PLAIN_TEXT, TABLE, Role, option_role, spec_of

PROMISED = """
    ls cat head tail grep egrep fgrep rg wc du uname whoami sort uniq cut tr nl tac rev od stat file diff cmp comm join
    paste date basename dirname realpath readlink sha256sum md5sum tree touch mkdir cp mv rm ln tee which
"""


def test_every_promised_program_is_known_and_nothing_that_runs_code() -> None:
    assert set(TABLE) == set(PROMISED.split())
    assert not set(TABLE) & {"awk", "sed", "xargs", "env", "sh", "bash", "python3", "find", "tar", "git", "test"}
    assert PLAIN_TEXT.isdisjoint(TABLE)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_each_line_parses_into_roles(name: str) -> None:
    spec = spec_of(name)
    assert spec is not None
    assert all(len(letter) == 1 for letter in spec.short), spec.short
    assert all(re.fullmatch(r"[a-z0-9-]{2,}", option) for option in spec.long), spec.long
    assert spec.rest in {Role.READ, Role.WRITE, Role.TEXT}


@pytest.mark.parametrize(
    ("program", "written", "full"),
    [
        ("grep", "file", ("file", Role.READ)),
        ("grep", "exclude-f", ("exclude-from", Role.READ)),
        ("grep", "fi", None),
        ("sort", "files0", ("files0-from", Role.READ)),
        ("sort", "comp", ("compress-program", Role.PROGRAM)),
        ("sort", "o", ("output", Role.WRITE)),
        ("sort", "nonsense", None),
        ("wc", "f", ("files0-from", Role.READ)),
        ("rg", "ignore-f", None),
        ("rg", "ignore-file", ("ignore-file", Role.READ)),
        ("cp", "target", ("target-directory", Role.WRITE)),
        ("ls", "dereference", ("dereference", Role.FLAG)),
    ],
)
def test_long_options_may_be_cut_short_only_where_the_program_allows_it(
    program: str, written: str, full: tuple[str, Role] | None
) -> None:
    spec = spec_of(program)
    assert spec is not None
    assert option_role(spec, written) == full


def test_a_program_outside_the_table_has_no_spec() -> None:
    assert spec_of("awk") is None
    assert spec_of("") is None


_HELP_LINE = re.compile(
    r"^\s+(?:-(?P<short>[A-Za-z0-9])(?P<attached>[ [=]\S+)?,\s+)?--(?P<long>[a-z0-9-]+)(?P<value>\[=\S+|=\S+| [A-Z]+)?",
    re.M,
)


@pytest.mark.live
@pytest.mark.parametrize("name", sorted(set(TABLE) - {"rg", "tree", "rev", "file", "which", "egrep", "fgrep"}))
def test_no_installed_gnu_program_reads_an_option_otherwise(name: str) -> None:
    """Whether an option takes the next word decides what the word after it is."""
    path = shutil.which(name, path="/usr/bin:/bin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    spec = spec_of(name)
    assert spec is not None
    shown = subprocess.run([path, "--help"], capture_output=True, text=True, env={"LC_ALL": "C"}, check=False).stdout
    if "GNU" not in shown:
        pytest.skip(f"{name} is not the GNU program")
    forms: dict[str, set[bool]] = {}
    shorts: dict[str, bool] = {}
    for match in _HELP_LINE.finditer(shown):
        takes = bool(match["value"]) and not match["value"].startswith("[")
        forms.setdefault(match["long"], set()).add(takes)
        if match["short"] and not match["attached"] and match["value"] and match["value"][1].isupper():
            shorts[match["short"]] = takes
    table_long = {option: _takes_next(role) for option, role in spec.long.items()}
    table_short = {option: _takes_next(role) for option, role in spec.short.items()}
    assert forms
    assert {name: table_long[name] for name in forms if name in table_long} == {
        name: all(takes) for name, takes in forms.items() if name in table_long
    }
    assert {name: table_short[name] for name in shorts if name in table_short} == {
        name: takes for name, takes in shorts.items() if name in table_short
    }


def _takes_next(role: Role) -> bool:
    return role not in {Role.FLAG, Role.OPTIONAL}
