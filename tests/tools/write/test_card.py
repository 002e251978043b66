from dataclasses import replace

import pytest
from tests.builders import file_call

from bascule.core.paths import Access
from bascule.tools.write.card import card

CALL = file_call("/etc/hosts", Access.WRITE, "write")


@pytest.mark.parametrize(("append", "verb"), [(False, "replace"), (True, "append to")])
def test_the_card_shows_file_verb_and_every_line(append, verb):
    content = "one\n" + "x" * 9000
    shown = card(replace(CALL, args={**CALL.args, "content": content, "append": append}))
    assert shown[0] == f"{verb} the file: /etc/hosts"
    assert shown[-2:] == ("| one", "| " + "x" * 9000)
    assert "9004 bytes" in "\n".join(shown)
