"""Which yes needs a passkey: a table, and the law that each word of policy asks for no less than the one before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.toolspec import ActionClass
from bascule.policy.passkeys import is_risky, wants_passkey

WORDS = ("off", "risky", "always")
RISKY = {"write", "peer", "web", "external", "schedule", "admin"}


@pytest.mark.parametrize("action", [*ActionClass, "", "READ", "unheard-of"])
def test_only_what_stays_with_the_agent_is_harmless(action: str) -> None:
    harmless = action in set(ActionClass) - RISKY
    assert is_risky(action, wider=False) is not harmless
    assert is_risky(action, wider=True)
    assert [wants_passkey(word, action, wider=False) for word in WORDS] == [False, not harmless, True]
    assert [wants_passkey(word, action, wider=True) for word in WORDS] == [False, True, True]


@given(st.text(max_size=9), st.text(max_size=9), st.booleans())
def test_a_word_nobody_knows_asks_for_most(word: str, action: str, wider: bool) -> None:
    assert wants_passkey(word, action, wider=wider) or word in {"off", "risky"}
    wanted = [wants_passkey(known, action, wider=wider) for known in WORDS]
    assert wanted == sorted(wanted)
