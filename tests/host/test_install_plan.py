"""The list of what installing does, and that what is written down of it comes back as it was."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from bascule.core.errors import Malformed
from bascule.host.install_plan import (
    Account,
    Directory,
    File,
    Reload,
    Wish,
    describe,
    from_record,
    key,
    plan,
    to_record,
)
from bascule.host.site import CONFIG, HOME, LOGS, RUN

POLICY = {"bascule.json5": "{}", "exec-approvals.json": "{}", "prompts/main/AGENTS.md": "be kind"}
WISH = Wish(1_900_000_000, 1024, 997, ("ann", "bob"), POLICY, "[Unit]\n", "x {}\n", reload=True)
PLAN = plan(WISH)


def test_everything_is_about_something_else() -> None:
    assert len({key(action) for action in PLAN}) == len(PLAN)


def test_the_record_lies_in_what_is_made_first() -> None:
    assert PLAN[0] == Directory(CONFIG, 0o755)


def test_directories_come_before_what_lies_in_them() -> None:
    paths = [action.path for action in PLAN if isinstance(action, Directory | File)]
    for place, path in enumerate(paths):
        inside = [other for other in paths[:place] if other.startswith(path + "/")]
        assert inside == []


def test_the_policy_comes_last_of_its_files_so_that_with_it_all_is_there() -> None:
    paths = [action.path for action in PLAN if isinstance(action, File) and action.path.startswith(CONFIG)]
    assert paths.index(f"{CONFIG}/prompts/main/AGENTS.md") < paths.index(f"{CONFIG}/bascule.json5")


def test_modes_are_those_that_keep_agents_and_gateway_out() -> None:
    modes = {action.path: (action.mode, action.gid) for action in PLAN if isinstance(action, Directory)}
    assert modes[CONFIG] == (0o755, 0)
    assert modes[HOME] == (0o700, 0)
    assert modes[LOGS] == (0o700, 0)
    assert modes[RUN] == (0o750, 997)


def test_without_systemd_and_logrotate_nothing_of_theirs_is_made() -> None:
    bare = plan(Wish(1, 2, 3, (), {}, reload=True))
    assert Reload() not in bare
    assert not any(isinstance(action, File) for action in bare)


@pytest.mark.parametrize("action", PLAN, ids=describe)
def test_what_is_written_down_comes_back(action: Any) -> None:
    assert from_record(json.loads(json.dumps(to_record(action)))) == action


@pytest.mark.parametrize("action", PLAN, ids=describe)
def test_each_is_said_in_one_line(action: Any) -> None:
    assert describe(action)
    assert "\n" not in describe(action)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "devil"},
        {"uid": "0"},
        {"uid": True},
        {"more": 1},
        {"directory": "relative"},
        {"directory": "/a/../etc"},
    ],
)
def test_a_record_that_is_none_is_refused(change: dict[str, Any]) -> None:
    good = to_record(Account("bascule", 5, "/var/lib/bascule"))
    bad: dict[str, Any] = copy.deepcopy(good) | change
    assert from_record(good)
    with pytest.raises(Malformed) as caught:
        from_record(bad)
    assert caught.value.code == "install_record"


@pytest.mark.parametrize("record", [None, [], "x", {"kind": "file"}, {"kind": []}])
def test_what_is_no_object_of_ours_is_refused(record: Any) -> None:
    with pytest.raises(Malformed):
        from_record(record)
