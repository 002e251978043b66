from tests.builders import LAYOUT

from bascule.core.paths import Access, Zone
from bascule.tools.read.spec import SPEC, intend


def test_it_reads_the_one_file_it_names():
    args = SPEC.parse({"file_path": "memory/x", "limit": 3})
    (use,) = intend(args, LAYOUT).paths
    assert (use.place.box, use.place.zone, use.access) == ("/workspace/memory/x", Zone.OWN, Access.READ)
