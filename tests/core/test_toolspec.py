import pytest

from bascule.core.errors import Malformed
from bascule.core.toolspec import DURABLE, ActionClass, Param, ParamKind, ToolSpec

SPEC = ToolSpec(
    "t",
    ActionClass.READ,
    "a tool",
    (
        Param("path", ParamKind.PATH, "a file", max_length=10, aliases=("file",)),
        Param("count", ParamKind.INTEGER, "how many", required=False, minimum=1, maximum=9),
        Param("every", ParamKind.BOOLEAN, "all", required=False),
        Param("mode", ParamKind.STRING, "how", required=False, choices=("a", "b")),
    ),
)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({}, "argument_missing"),
        ({"path": "x", "more": 1}, "argument_unknown"),
        ({"path": "x", "file": "y"}, "argument_twice"),
        ({"path": ""}, "argument_invalid"),
        ({"path": "a\0b"}, "argument_invalid"),
        ({"path": "x" * 11}, "argument_invalid"),
        ({"path": 1}, "argument_invalid"),
        ({"path": None}, "argument_invalid"),
        ({"path": ["x"]}, "argument_invalid"),
        ({"path": "x", "count": 0}, "argument_invalid"),
        ({"path": "x", "count": 10}, "argument_invalid"),
        ({"path": "x", "count": True}, "argument_invalid"),
        ({"path": "x", "count": "3"}, "argument_invalid"),
        ({"path": "x", "every": 1}, "argument_invalid"),
        ({"path": "x", "mode": "c"}, "argument_invalid"),
    ],
)
def test_what_does_not_fit_is_refused_not_repaired(args, code):
    with pytest.raises(Malformed) as refused:
        SPEC.parse(args)
    assert refused.value.code == code


def test_what_fits_comes_back_under_canonical_names_with_nothing_added():
    assert SPEC.parse({"file": "x"}) == {"path": "x"}
    whole = {"path": "x", "count": 9, "every": False, "mode": "b"}
    assert SPEC.parse(whole) == whole


def test_the_schema_offered_says_what_the_parser_holds_to():
    schema = SPEC.json_schema()
    assert schema["required"] == ["path"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["count"] == {"type": "integer", "description": "how many", "minimum": 1, "maximum": 9}
    assert schema["properties"]["mode"]["enum"] == ["a", "b"]


def test_only_looking_is_not_durable():
    assert set(ActionClass) - DURABLE == {ActionClass.READ, ActionClass.MEMORY}
