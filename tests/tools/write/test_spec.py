import pytest
from tests.builders import LAYOUT

from bascule.core.errors import Malformed
from bascule.core.paths import Access, Zone
from bascule.tools.write.spec import SPEC, intend


def test_it_writes_the_one_file_it_names():
    (use,) = intend(SPEC.parse({"path": "tools/x", "content": ""}), LAYOUT).paths
    assert (use.place.box, use.place.zone, use.access) == ("/workspace/tools/x", Zone.TOOLS, Access.WRITE)


@pytest.mark.parametrize("args", [{"path": "x"}, {"content": "x"}, {"path": "x", "content": "y" * (1 << 20 | 1)}])
def test_content_stands_in_the_call_whole(args):
    with pytest.raises(Malformed):
        SPEC.parse(args)
