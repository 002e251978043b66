"""Examples are read with their place and judged by whatever is handed in."""

from __future__ import annotations

import pytest

from bascule.core.errors import Malformed
from bascule.core.verdict import Decision, Effect, allow, deny
from bascule.policy.examples import Example, judge_examples, read_examples

TEXT = """{
  agents: {list: [{id: 'a'}]},
  examples: [
    {call: {agent: 'A', tool: 'read', args: {path: 'é'}}, want: 'allow'},
    {call: {agent: 'a', tool: 'exec', session: 'x'}, want: 'deny', code: 'no'},
  ],
}"""


def test_examples_are_read_with_their_place() -> None:
    first, second = read_examples(TEXT, "c")
    assert first == Example("a", "read", '{"path": "é"}', "", Effect.ALLOW, "", "c:4:5")
    assert (second.args, second.session, second.want, second.code) == ("{}", "x", Effect.DENY, "no")


def test_an_example_about_nobody_is_refused() -> None:
    with pytest.raises(Malformed, match="there is no agent b"):
        read_examples("{agents: {list: [{id: 'a'}]}, examples: [{call: {agent: 'b', tool: 'x'}, want: 'ask'}]}", "c")
    with pytest.raises(Malformed, match="agent id"):
        read_examples("{agents: {list: [{id: 'a'}]}, examples: [{call: {agent: '/', tool: 'x'}, want: 'ask'}]}", "c")


def test_only_surprises_are_told() -> None:
    examples = read_examples(TEXT, "c")
    right = {"read": Decision((allow("l"),)), "exec": Decision((deny("l", "no", "why"),))}
    assert judge_examples(examples, lambda example: right[example.tool]) == ()
    other = Decision((deny("l", "other", "why"),))
    found = judge_examples(examples, lambda _: other)
    assert [(surprise.got, surprise.code) for surprise in found] == [(Effect.DENY, "other"), (Effect.DENY, "other")]
    assert str(found[0]).startswith("c:4:5: a read")


def test_a_call_that_does_not_parse_counts_as_refused() -> None:
    def judge(_: Example) -> Decision:
        raise Malformed("no", "unknown argument")

    found = judge_examples(read_examples(TEXT, "c"), judge)
    assert [(surprise.example.tool, surprise.code) for surprise in found] == [("read", "no")]


def test_silence_counts_as_refused() -> None:
    found = judge_examples(read_examples(TEXT, "c"), lambda _: Decision(()))
    assert [surprise.code for surprise in found] == ["no_verdict", "no_verdict"]
