"""The gateway's view: what is covered, what shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bascule
from bascule.core.paths import is_within
from bascule.host.gateway_view import View, parents, plan

SOURCE = str(Path(bascule.__file__).resolve().parents[1])


def test_open_parents_need_no_cover() -> None:
    assert plan(["/srv/a/b"], {"/srv": True, "/srv/a": True}) == View({})


def test_outermost_closed_parent_is_covered_once_for_all() -> None:
    passable = {"/shut": False, "/shut/x": False, "/usr": True}
    found = plan(["/shut/x/home", "/shut/py", "/usr/lib"], passable)
    assert found == View({"/shut": ("/shut/py", "/shut/x/home")})


def test_path_below_another_comes_with_it() -> None:
    passable = {"/shut": False, "/shut/a": True}
    assert plan(["/shut/a", "/shut/a/b"], passable) == View({"/shut": ("/shut/a",)})


names = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(names, min_size=1, max_size=4), st.data())
def test_every_needed_path_is_passable_afterwards(needed: list[str], data: st.DataObject) -> None:
    passable = {parent: data.draw(st.booleans()) for path in needed for parent in parents(path)}
    view = plan(needed, passable)
    for path in needed:
        closed = [parent for parent in parents(path) if not passable[parent] and not is_within(parent, path)]
        closed = [parent for parent in closed if not any(is_within(parent, other) for other in needed)]
        shown = [place for places in view.covered.values() for place in places if is_within(path, place)]
        covering = [cover for cover in view.covered if is_within(path, cover)]
        assert len(shown) == len(covering) <= 1
        if closed and not shown:
            raise AssertionError(f"{path} cannot be reached")


TRY = """
import os, sys
from bascule.host.split import become_gateway, needed_paths
home, uid = sys.argv[1], int(sys.argv[2])
become_gateway(needed_paths(home, sys.argv[3]), uid)
import colorsys
print(os.getresuid(), os.getresgid(), os.getgroups())
status = open("/proc/self/status").read()
print([int(line.split()[1], 16) for line in status.splitlines() if line.startswith("Cap")], "NoNewPrivs:\\t1" in status)
print(sorted(os.listdir(os.path.dirname(home))), open(home + "/note").read())
try:
    os.setresuid(0, 0, 0)
except PermissionError:
    print("stays")
"""


@pytest.mark.live
def test_gateway_below_closed_parents_sees_its_home_and_nothing_beside_it(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    closed = tmp_path.resolve() / "closed"
    home = closed / "home"
    home.mkdir(parents=True)
    (closed / "secret").write_text("x")
    (home / "note").write_text("here")
    home.chmod(0o755)
    closed.chmod(0o700)
    control = subprocess.run(
        [sys.executable, "-c", "import os,sys; os.setresuid(*[1950000000]*3); open(sys.argv[1])", str(home / "note")],
        capture_output=True, check=False,
    )  # fmt: skip
    assert control.returncode != 0
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(home), "1950000000", SOURCE],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": SOURCE}, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "(1950000000, 1950000000, 1950000000) (1950000000, 1950000000, 1950000000) []",
        "[0, 0, 0, 0, 0] True",
        "['home'] here",
        "stays",
    ]
    assert sorted(os.listdir(closed)) == ["home", "secret"]
