from tests.builders import file_call

from bascule.tools.read.card import card


def test_the_card_names_the_file_and_whose_eyes_read_it():
    shown = "\n".join(card(file_call("/etc/hosts")))
    assert "/etc/hosts" in shown
    assert "agent's own account" in shown
