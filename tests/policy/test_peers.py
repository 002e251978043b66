"""Who may write to whom."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import compiled

from bascule.core.errors import Malformed
from bascule.core.policy import PeerRow

AGENTS = {"list": [{"id": "a"}, {"id": "b"}]}


def test_rows_are_directed_and_silence_gives_nothing() -> None:
    rows = [{"from": "a", "to": "b", "send": "allow"}, {"from": "b", "to": "a"}]
    policy, _ = compiled({"agents": AGENTS, "peers": rows})
    assert [(row.sender, row.receiver, row.send) for row in policy.peers] == [("a", "b", "allow"), ("b", "a", "")]
    assert compiled({"agents": AGENTS})[0].peers == ()
    assert isinstance(policy.peers[0], PeerRow)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"from": "a", "to": "c"}], "no agent 'c'"),
        ([{"from": "*", "to": "b"}], "no agent '*'"),
        ([{"from": "a", "to": "a"}], "to itself"),
        ([{"from": "a", "to": "b"}, {"from": "a", "to": "b", "send": "deny"}], "has a row already"),
    ],
)
def test_rows_that_name_nobody_or_twice_are_refused(rows: Any, says: str) -> None:
    with pytest.raises(Malformed) as refused:
        compiled({"agents": AGENTS, "peers": rows})
    assert says in refused.value.message
    assert f"peers[{len(rows) - 1}]" in refused.value.message
