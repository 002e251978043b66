"""T09: a command means more to a shell than it says.

Every line makes the file ``workspace/made`` when bash reads it. Across the gate, for an agent that may run ``touch`` and
write, none does: what is not a plain word, pipe, list or redirect is refused, not run without it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.living import MAIN, Living, codes, content, effect, living

pytestmark = pytest.mark.live

TOUCH = "touch workspace/made"

LINES = [
    f"cat $({TOUCH})",
    f'cat "$({TOUCH})"',
    f"cat `{TOUCH}`",
    f'cat "`{TOUCH}`"',
    f"cat workspace/notes.md$({TOUCH})",
    f"cat <({TOUCH})",
    f"cat workspace/notes.md > >({TOUCH})",
    f"cat ${{x:-$({TOUCH})}}",
    f'cat "${{x:=$({TOUCH})}}"',
    f"cat ${{x[$({TOUCH})]}}",
    f"cat $(( x[$({TOUCH} >&2; echo 1)] ))",
    f"cat $[ $({TOUCH}) 1 ]",
    f"cat <<END\n$({TOUCH})\nEND",
    f"cat <<< $({TOUCH})",
    f"ls & {TOUCH}",
    f"{TOUCH} &",
    f"ls\n{TOUCH}",
    f"ls |& {TOUCH}",
    f"ls # a remark\n{TOUCH}",
    f"ls \\\n; {TOUCH}",
    "tou\\\nch workspace/made",
    f"x=1 {TOUCH}",
    f"x=$({TOUCH})",
    f"x[$({TOUCH})]=1",
    f"x+=1 {TOUCH}",
    f"eval {TOUCH}",
    f"eval '{TOUCH}'",
    f"exec {TOUCH}",
    f"command {TOUCH}",
    "builtin eval touch workspace/made",
    f"trap '{TOUCH}' EXIT",
    f"alias ls='{TOUCH}'\n{TOUCH}",
    ". workspace/lines",
    "source workspace/lines",
    f"{{ {TOUCH}; }}",
    f"({TOUCH})",
    f"(({TOUCH}) )",
    f"if {TOUCH}; then ls; fi",
    f"while {TOUCH}; do break; done",
    f"until {TOUCH}; do ls; done",
    f"for x in 1; do {TOUCH}; done",
    "for x in workspace/made; do touch $x; done",
    f"case x in x) {TOUCH};; esac",
    f"ls() {{ {TOUCH}; }}; ls",
    f"function ls {{ {TOUCH}; }}; ls",
    f"! {TOUCH}",
    f"time {TOUCH}",
    f"coproc {TOUCH}; wait",
    f"select x in 1; do {TOUCH}; break; done <<< 1",
    f"[[ $({TOUCH}) ]]",
    f'[ -e "$({TOUCH})" ]',
    f"(( x[$({TOUCH} >&2; echo 1)] ))",
    f"let 'x[$({TOUCH} >&2; echo 1)]=1'",
    f"declare 'x[$({TOUCH} >&2; echo 1)]=1'",
    f'set -- {TOUCH}; "$@"',
    "set -- touch workspace/made; $1 $2",
    "read x < workspace/lines; $x",
    "mapfile -t x < workspace/lines; ${x[0]}",
    "touch $PWD/workspace/made",
    "touch ${PWD}/workspace/made",
    "touch {workspace,workspace}/made",
    "touch workspace/{made,made}",
    "touch workspace/ma{d..d}e",
    "touch $'workspace/made'",
    "touch $'\\x77orkspace/made'",
    'touch $"workspace/made"',
    "touch ~+/workspace/made",
    "> workspace/made",
    ">> workspace/made",
    "ls <> workspace/made",
    "ls 3> workspace/made",
    "ls 2> workspace/made",
    "ls {x}> workspace/made",
    "ls >| workspace/made",
    "ls >& workspace/made",
    "exec 3> workspace/made",
    "cat workspace/notes.md > workspace/ma$((0))de | touch workspace/made",
    f"pushd workspace && {TOUCH[:6]}made",
    f"cd workspace && {TOUCH[:6]}made",
    f"enable -n true; {TOUCH}",
    f"shopt -s extglob; {TOUCH}",
    f"set -e; {TOUCH}",
    f"export x=1; {TOUCH}",
    f"unset x; {TOUCH}",
    f": ; {TOUCH}",
]
"""Each shows itself to be an attack by making the file in bash."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        furnish(made.root())
        made.change("exec-approvals.json", _with_touch)

    with living(tmp_path_factory.mktemp("t09") / "home", prepare) as made:
        yield made


def _with_touch(text: str) -> str:
    policy = json.loads(text)
    policy["agents"][MAIN]["allowlist"].append({"pattern": "/usr/bin/touch", "writes": True})
    return json.dumps(policy)


def furnish(root: Path) -> None:
    (root / "workspace").mkdir(parents=True, exist_ok=True)
    (root / "workspace" / "notes.md").write_text("notes\n")
    (root / "workspace" / "lines").write_text(TOUCH + "\n")


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_means_more_to_a_shell_is_refused(house: Living, tmp_path: Path, line: str) -> None:
    furnish(tmp_path)
    subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, timeout=10, check=False)
    assert list(tmp_path.rglob("made*")), "the line does nothing even in a shell"
    report = house.run(line)
    assert effect(report) == "deny"
    assert all(code.startswith("shell_") for code in codes(report)), codes(report)
    assert not list((house.root() / "workspace").glob("ma*"))


@pytest.mark.parametrize("joint", [";", "&&", "||", "|"])
def test_nothing_before_a_refused_part_runs_either(house: Living, joint: str) -> None:
    assert effect(house.run(f"touch workspace/half {joint} cat $(ls)")) == "deny"
    assert not (house.root() / "workspace" / "half").exists()


@pytest.mark.parametrize(
    "word", ["$(id)", "`id`", "${HOME}", "$HOME", "a;b", "a|b", "a&b", "{a,b}", "~", "!!", "*", "$((1))", "\\"]
)
def test_quoted_it_is_a_word_like_any_other(house: Living, word: str) -> None:
    (house.root() / "workspace" / "lines").write_text(f"before {word} after\n")
    report = house.run(f"grep -F -e '{word}' workspace/lines")
    assert effect(report) == "allow", codes(report)
    assert content(report).startswith("before ")


@pytest.mark.parametrize("program", ["printf -v", "test -v"])
def test_a_builtin_that_would_expand_its_words_is_only_the_program(house: Living, tmp_path: Path, program: str) -> None:
    line = f"{program} 'x[$({TOUCH} >&2; echo 1)]' 1" if program[0] == "p" else f"{program} 'x[$({TOUCH} >&2; echo 1)]'"
    furnish(tmp_path)
    subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, timeout=10, check=False)
    assert (tmp_path / "workspace" / "made").exists()
    assert house.approved("exec", {"command": line})["outcome"] is not None
    assert not (house.root() / "workspace" / "made").exists()


def test_touch_itself_works(house: Living) -> None:
    made = house.root() / "workspace" / "mine"
    assert effect(house.run("touch workspace/mine")) == "allow"
    assert made.stat().st_uid == house.uid()
