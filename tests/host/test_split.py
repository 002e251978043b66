"""Splitting a start: whose uid is whose, and starts that fail."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from bascule.core.errors import Tampered, Unavailable
from bascule.core.ids import AgentId
from bascule.host.split import Start, Subordinate, start_warden

AGENT = AgentId("one")


def test_subordinate_uids_count_from_one_and_the_user_is_zero() -> None:
    range_ = Subordinate(100_000, 200_000, 10)
    assert [range_.inner(uid) for uid in (os.getuid(), 100_000, 100_009)] == [0, 1, 10]
    for uid in (99_999, 100_010):
        with pytest.raises(Unavailable):
            range_.inner(uid)


def test_owners_are_translated() -> None:
    start = Start("/srv", os.getuid(), os.getuid(), {AGENT: 100_001}, lambda _: (), Subordinate(100_000, 100_000, 10))
    found = start.owners()
    assert (found.operator, found.gateway, found.agents) == (0, 0, {AGENT: 2})


@pytest.mark.live
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files to other accounts")
def test_failed_preparation_is_raised_here_as_what_it_was(tmp_path: Path) -> None:
    home = tmp_path.resolve()
    (home / "state").symlink_to("/etc")
    with pytest.raises(Tampered) as refused:
        start_warden(Start(str(home), 0, 1_960_000_000, {AGENT: 1_960_000_001}, lambda _: ("/usr/bin/true",)))
    assert refused.value.code == "directory_replaced"


@pytest.mark.live
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files to other accounts")
def test_program_that_cannot_start_is_a_failure_and_one_that_ends_closes_the_socket(tmp_path: Path) -> None:
    def start(program: str) -> Start:
        return Start(str(tmp_path.resolve()), 0, 1_960_000_000, {AGENT: 1_960_000_001}, lambda _: (program,))

    with start_warden(start("/usr/bin/true")) as connection:
        assert select.select([connection], [], [], 20)[0]
        assert connection.recv(1) == b""
    with pytest.raises(Unavailable):
        start_warden(start("/usr/bin/no-such-program"))
