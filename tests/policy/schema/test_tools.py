"""Lists of one scope."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bascule.policy.schema.tools import ToolLists, Tools


def test_one_scope_either_lists_or_widens() -> None:
    with pytest.raises(ValidationError, match="both allow and alsoAllow"):
        ToolLists.model_validate({"allow": ("read",), "alsoAllow": ("exec",)})
    assert ToolLists.model_validate({"allow": (), "alsoAllow": ("exec",)}).allow == ()


def test_absent_is_not_empty() -> None:
    assert ToolLists.model_validate({}).allow is None
    assert ToolLists.model_validate({"allow": ()}).allow == ()


@pytest.mark.parametrize("value", [{"profile": "coder"}, {"exec": {"ask": "never"}}, {"exec": {"askFallback": "deny"}}])
def test_unknown_words_are_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        Tools.model_validate(value)
