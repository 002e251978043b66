"""A very small model may only pick: values from the operator's own words, or something short to say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.world import EXEC, READ, SESSION

from bascule.runtime.local_model import shape
from bascule.runtime.messages import Message, ModelSaid, Told, ToolAnswer, ToolRequest, ToolsAnswered, UserSaid
from bascule.runtime.providers.port import Ask, Fault, Reply


def ask(*messages: Message) -> Ask:
    return Ask(SESSION, "prompts " * 9000, messages, (READ, EXEC), 0)


@pytest.mark.parametrize(
    ("words", "tool", "values"),
    [
        ("Read the file notes.md", "read", ["notes.md"]),
        ("show me memory/a.md and output/b_1.txt, please", "read", ["memory/a.md", "output/b_1.txt"]),
        ("what is in /etc/hostname?", "read", ["/etc/hostname"]),
        ("Run `ls -l memory`", "exec", ["ls -l memory"]),
        ("execute the command wc notes.md.", "exec", ["wc notes.md"]),
    ],
)
def test_arguments_come_from_the_words(words: str, tool: str, values: list[str]) -> None:
    found = [candidate for candidate in shape.candidates(ask(UserSaid(words))) if candidate.meant]
    assert [candidate.tool.name for candidate in found] == [tool]
    assert list(found[0].values.values()) == [values]
    schema = shape.schema(ask(UserSaid(words)))
    assert schema["properties"]["tool"] == {"const": tool}


@pytest.mark.parametrize("words", ["Hello!", "What is 2+2?", "run", "I feel read to", "", "3.5 is a number"])
def test_without_a_value_only_words_are_possible(words: str) -> None:
    assert list(shape.schema(ask(UserSaid(words)))["properties"]) == ["say"]


def test_a_value_without_a_verb_leaves_both_open() -> None:
    branches = shape.schema(ask(UserSaid("I wrote notes.md yesterday")))["oneOf"]
    assert [next(iter(branch["properties"])) for branch in branches] == ["say", "tool"]


def test_after_a_refusal_there_is_one_true_thing_to_say() -> None:
    call = ModelSaid("", (ToolRequest("exec", '{"command": "rm x"}'),))
    told = ToolsAnswered((ToolAnswer("refused: rm is not listed", Told.REFUSED),))
    schema = shape.schema(ask(UserSaid("run `rm x`"), call, told))
    assert schema["properties"]["say"] == {"enum": ["refused: rm is not listed"]}


def test_data_is_shown_without_its_fence() -> None:
    mark = "--- data ab ---\nBuy milk.\n--- end of data ab ---"
    told = ToolsAnswered((ToolAnswer(f"read: ok\n{mark}", Told.DONE),))
    request = shape.request(ask(UserSaid("read a.md"), ModelSaid("", (ToolRequest("read", "{}"),)), told))
    last = request["messages"][-1]["content"]
    assert "Buy milk." in last
    assert "---" not in last


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=3000), max_size=12))
def test_the_context_stays_short_and_can_be_sent(texts: list[str]) -> None:
    request = shape.request(ask(*(UserSaid(text) for text in texts)))
    assert sum(len(message["content"]) for message in request["messages"]) < 5000
    json.dumps(request).encode("ascii")


@pytest.mark.parametrize(
    ("content", "reply"),
    [
        ('{"say": " hi "}', Reply("hi")),
        ('{"tool": "read", "args": {"path": "a"}}', Reply("", (ToolRequest("read", '{"path": "a"}'),))),
    ],
)
def test_answers_are_read(content: str, reply: Reply) -> None:
    assert shape.read(content, "local", cut=False) == reply


@pytest.mark.parametrize("content", ["", '{"say": "hal', "[]", '{"say": 1}', '"x"', "[" * 9999])
def test_anything_else_is_a_fault(content: str) -> None:
    assert isinstance(shape.read(content, "local", cut=True), Fault)
