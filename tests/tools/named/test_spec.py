from bascule.app.wiring import BUILT_TOOLS
from bascule.core.facts import Enforcement
from bascule.tools.named.spec import SPECS


def test_every_named_tool_lacks_something_and_stands_once():
    assert all(spec.needs and spec.open_args for spec in SPECS)
    assert len({spec.name for spec in SPECS}) == len(SPECS)


def test_a_tool_says_what_it_would_need():
    needs = {spec.name: next(iter(spec.needs)) for spec in SPECS}
    assert needs["x_search"] is Enforcement.NOT_CARRIED
    assert not needs.keys() & BUILT_TOOLS
    assert needs["message"] is Enforcement.CHANNEL
    assert needs["browser"] is Enforcement.NOT_CARRIED
