"""Scripts are refused whole, with file and line, or played exactly."""

from __future__ import annotations

import pytest

from bascule.core.errors import Malformed
from bascule.runtime.messages import ToolRequest
from bascule.runtime.providers.script import parse_script


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "demo"),
        ("# nothing\n\n", "demo"),
        ('{"say": "a"}\n{"say": 1}', "demo:2"),
        ("[]", "demo:1"),
        ("{}", "demo:1"),
        ('{"says": "a"}', "demo:1"),
        ('{"say": "a", "say": "b"}', "demo:1"),
        ('\n{"say": "a"', "demo:2"),
        ('{"calls": {}}', "demo:1"),
        ('{"calls": [{"args": {}}]}', "demo:1"),
        ('{"calls": [{"tool": "a", "args": 3}]}', "demo:1"),
        ('{"calls": [{"tool": "a", "arguments": {}}]}', "demo:1"),
        ('{"say": "a", "delay": -1}', "demo:1"),
        ('{"say": "a", "delay": true}', "demo:1"),
        ('{"error": {"status": 200}}', "demo:1"),
        ('{"error": {"status": 500}, "say": "a"}', "demo:1"),
        ('{"error": {"status": 429, "retry_after": -1}}', "demo:1"),
        ('{"say": "a", "expect": {"holds": "x"}}', "demo:1"),
        ('{"loop": true}', "demo"),
        ('{"loop": true}\n{"say": "a"}', "demo:2"),
        ('{"say": "a"}\n{"loop": false}', "demo:2"),
        ('{"say": ' * 3000, "demo:1"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, where: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_script(text, "demo")
    assert refused.value.code == "script_malformed"
    assert refused.value.message.startswith(where)


def test_raw_arguments_stay_raw_and_objects_become_json() -> None:
    script = parse_script('{"calls": [{"tool": "x y", "args": "{\\"a\\":1,"}, {"tool": "r", "args": {"p": "ü"}}]}', "s")
    assert script.lines[0].calls == (ToolRequest("x y", '{"a":1,'), ToolRequest("r", '{"p": "ü"}'))


def test_a_loop_begins_anew_and_a_plain_script_ends() -> None:
    two = '{"say": "a"}\n# between\n{"say": "b\u2028c"}\n'
    looping = parse_script(two + '{"loop": true}', "s")
    assert [line.say for number in range(5) if (line := looping.line(number))] == [
        "a",
        "b\u2028c",
        "a",
        "b\u2028c",
        "a",
    ]
    plain = parse_script(two, "s")
    assert plain.line(2) is None
    assert plain.line(1) == looping.line(1)
