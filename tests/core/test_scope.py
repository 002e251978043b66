import itertools

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


def test_only_own_directories_and_devices_may_be_written_unasked():
    free = {zone for zone in Zone if TABLE[zone, Access.WRITE][0] is Effect.ALLOW}
    assert free == {Zone.OWN, Zone.DEVICE}


def test_the_strictest_use_leads_wherever_it_stands():
    uses = (use("memory/x"), use("/etc/hosts"), use("/etc/shadow"), use("memory/y"))
    for order in itertools.permutations(uses):
        effect, code, reason, _remedy = strictest_use(order)
        assert (effect, code) == (Effect.DENY, "path_protected")
        assert "/etc/shadow" in reason


def test_no_use_asks_nothing():
    assert strictest_use(())[0] is Effect.ALLOW
