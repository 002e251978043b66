"""An hour of an agent's calls, twice through a real gateway: with a card for each, and with the grants the cards propose.

The hour is made like the one operators complain of (67 commands, 63 cards, two thirds of them one interpreter).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.living import Living, effect, living

pytestmark = pytest.mark.live

LICENCES = "/usr/share/common-licenses"
READS = ("Apache-2.0", "Artistic", "BSD", "GFDL-1.2", "GFDL-1.3", "GPL-1", "GPL-2", "GPL-3", "LGPL-2", "MPL-2.0")

HOUR: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("exec", {"command": f"sh workspace/report.sh {number}"}) for number in range(45)),
    *(("exec", {"command": f"tac workspace/days/{number}.txt"}) for number in range(12)),
    *(("read", {"path": f"{LICENCES}/{name}"}) for name in READS),
)


def furnish(made: Living) -> None:
    workspace = made.root() / "workspace"
    (workspace / "report.sh").write_text('echo "report $1"\n')
    (workspace / "days").mkdir()
    for number in range(12):
        (workspace / "days" / f"{number}.txt").write_text(f"day {number}\nend\n")


def spend(made: Living, session: str, *, granting: bool) -> int:
    """Go through the hour and return how many cards it took; every call must have run in the end."""
    cards = 0
    for tool, args in HOUR:
        report = made.call(tool, args, session=session)
        if effect(report) == "ask":
            cards += 1
            ref = report["approval"]["id"]
            shown = made.client.request("approvals_show", ref=ref)
            if granting and shown["proposal"]:
                terms = {"this_session": True, "minutes": 60, "uses": None, "args": None, "under": None}
                made.client.request("approvals_grant", ref=ref, extent="similar", **terms)
            else:
                made.client.request("approvals_approve", ref=ref)
            report = made.call(tool, args, session=session)
        assert (effect(report), report["outcome"]["ok"]) == ("allow", True), report
    return cards


def test_an_hour_of_similar_calls_takes_a_tenth_of_the_cards(tmp_path: Path) -> None:
    with living(tmp_path / "home", furnish) as made:
        every = spend(made, "without", granting=False)
        few = spend(made, "with", granting=True)
        assert every == len(HOUR)
        assert few * 10 <= every
        granted = made.client.request("grants_list", everything=False)
        assert sum(found["used"] for found in granted) == len(HOUR) - few
        # What was granted reaches no further: another script, another directory, the same script with another content.
        (made.root() / "workspace" / "other.sh").write_text("echo other\n")
        others = ("sh workspace/other.sh 1", "tac memory/x.txt", "sh workspace/report.sh --now")
        for command in others:
            assert effect(made.run(command, session="with")) == "ask"
        (made.root() / "workspace" / "report.sh").write_text("echo changed\n")
        assert effect(made.run("sh workspace/report.sh 1", session="with")) == "ask"
        assert effect(made.run("tac workspace/days/1.txt", session="elsewhere")) == "ask"
