from dataclasses import replace

import pytest
from tests.builders import file_call

from bascule.core.paths import Access
from bascule.tools.edit.card import card

CALL = file_call("/etc/hosts", Access.WRITE, "edit")


@pytest.mark.parametrize(("every", "where"), [(True, "every place"), (False, "the one place")])
def test_the_card_shows_the_change_as_removed_and_added_lines(every, where):
    shown = card(replace(CALL, args={**CALL.args, "oldText": "a\nb", "newText": "c", "replaceAll": every}))
    assert shown[-3:] == ("- a", "- b", "+ c")
    assert where in shown[-4]
    assert "/etc/hosts" in shown[0]
