"""What every section has in common."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bascule.policy.schema.base import Count, Names, Section, plain_words


class Sample(Section):
    """A section to try."""

    max_count: Count | None = None
    some_names: Names | None = None


def test_keys_are_camel_case_and_nothing_is_converted() -> None:
    assert Sample.model_validate({"maxCount": 1, "someNames": ("a",)}).max_count == 1
    for value in ({"max_count": 1}, {"maxCount": "1"}, {"maxCount": True}, {"maxCount": -1}, {"other": 1}):
        with pytest.raises(ValidationError):
            Sample.model_validate(value)
    for names in (["a"], ("",), ("  ",), (1,)):
        with pytest.raises(ValidationError):
            Sample.model_validate({"someNames": names})


def test_messages_use_the_words_of_the_file() -> None:
    assert plain_words("Input should be a valid tuple") == "must be an array"
    assert plain_words("Input should be a valid dictionary or instance of Exec") == "must be an object"
    assert plain_words("Input should be a valid string") == "must be a valid string"
