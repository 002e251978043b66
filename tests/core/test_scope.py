import itertools

import pytest
from tests.builders import LAYOUT

from bascule.core.paths import Access, PathUse, Zone, locate
from bascule.core.scope import TABLE, strictest_use
from bascule.core.verdict import Effect


def use(path: str, access: Access = Access.READ) -> PathUse:
    return PathUse(locate(path, LAYOUT), access, "path")


def test_the_table_speaks_of_every_zone_and_access():
    assert set(TABLE) == set(itertools.product(Zone, Access))


def test_writing_is_never_laxer_than_reading():
    for zone in Zone:
        assert TABLE[zone, Access.WRITE][0] >= TABLE[zone, Access.READ][0]


def test_only_own_directories_binds_listed_so_and_devices_may_be_written_unasked():
    free = {zone for zone in Zone if TABLE[zone, Access.WRITE][0] is Effect.ALLOW}
    assert free == {Zone.OWN, Zone.BIND_WRITABLE, Zone.DEVICE}


def test_the_strictest_use_leads_wherever_it_stands():
    uses = (use("memory/x"), use("/etc/hosts"), use("/etc/shadow"), use("memory/y"))
    for order in itertools.permutations(uses):
        effect, code, reason, _remedy = strictest_use(order, "rw")
        assert (effect, code) == (Effect.DENY, "path_protected")
        assert "/etc/shadow" in reason


def test_no_use_asks_nothing():
    assert strictest_use((), "rw")[0] is Effect.ALLOW


@pytest.mark.parametrize(
    ("path", "access", "workspace", "code"),
    [
        ("memory/x", Access.READ, "none", "workspace_none"),
        ("AGENTS.md", Access.READ, "none", "workspace_none"),
        ("tools/x.sh", Access.READ, "none", "workspace_none"),
        ("memory/x", Access.WRITE, "none", "workspace_none"),
        ("memory/x", Access.READ, "ro", "ok"),
        ("memory/x", Access.WRITE, "ro", "path_read_only"),
        ("memory/x", Access.WRITE, "rw", "ok"),
        ("/dev/null", Access.WRITE, "none", "ok"),
    ],
)
def test_policy_may_withhold_the_agents_own_directory(path, access, workspace, code):
    effect, found, _, remedy = strictest_use((use(path, access),), workspace)
    assert (found, effect) == (code, Effect.ALLOW if code == "ok" else Effect.DENY)
    assert bool(remedy) is (code != "ok")
