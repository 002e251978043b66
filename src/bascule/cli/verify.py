"""``bascule config verify``: whose the files are that govern the agents. It looks, and changes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from bascule.cli.options import AsJson, Home, settle
from bascule.cli.sink import Column
from bascule.core.errors import Unavailable

if TYPE_CHECKING:
    from bascule.checkup.governing import HoldingRow

FILES: Final = (
    Column("MODEL", "model"),
    Column("WHAT", "what"),
    Column("PATH", "id"),
    Column("OWNER", "owner"),
    Column("MODE", "mode"),
    Column("WRITABLE BY", "who"),
)

MEANING: Final = {
    "root-owned": "only root could change what governs the agents",
    "operator-owned": "only root and the operator could change what governs the agents",
    "bot-owned": "medium protection: the gateway's own account could change what governs the agents; make both policy "
    "files root's, in directories of root's, to close that",
    "exposed": "somebody could change what governs the agents who must not; the gateway refuses to start so",
}


def verify(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> int:
    """Say who could change the policy files, the prompts and the tools, and through what.

    Exit status: 0 nobody could who must not, 1 somebody could, or a policy file is missing.
    """
    from bascule.checkup.governing import belongings, governing, row, who_is_who  # noqa: PLC0415 (for this verb only)
    from bascule.checkup.ownership import Model, worst  # noqa: PLC0415 (as above)
    from bascule.checkup.system import users_of  # noqa: PLC0415 (as above)
    from bascule.host.agent_names import agent_names  # noqa: PLC0415 (as above)

    run = settle(context, home, as_json)
    place = Path(os.path.realpath(run.home))
    if not place.is_dir():
        raise Unavailable("home_missing", f"there is no Bascule home at {run.home}", "make one with: bascule init")
    who = who_is_who(place, users_of(place))
    found = list(governing(place, who))
    policy = worst([holding for holding in found if holding.what == "policy"])
    missing = found[0].mode < 0
    found += [] if missing else belongings(place, agent_names(place), who)
    good = not missing and worst(found) is not Model.EXPOSED
    rows = [row(holding, who) for holding in found]
    if run.sink.as_json:
        run.sink.json({"ok": good, "model": str(policy), "files": rows})
    else:
        shown = [{**each, "id": _briefly(each["id"], place), "who": _named(each)} for each in rows]
        run.sink.table(FILES, shown, "there is nothing")
        run.sink.line(f"{policy}: {MEANING[str(policy)]}")
        for each in rows:
            if each["model"].endswith(str(Model.EXPOSED)):
                run.sink.line(f"not fit for use: {each['id']}: {_ways(each)}")
    return 0 if good else 1


def _briefly(path: str, home: Path) -> str:
    """Return a file by its path from the home, if it lies there: whole paths leave no room for the rest."""
    return path.removeprefix(f"{home}/")


def _named(holding: HoldingRow) -> list[str]:
    return ["root", *(writer["who"] for writer in holding["writers"])]


def _ways(holding: HoldingRow) -> str:
    return "; ".join(f"{writer['who']} {writer['how']}" for writer in holding["writers"])
