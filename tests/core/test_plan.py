from __future__ import annotations

from bascule.core.plan import Command, Connector, Plan, Step, Word


def command(*words: str) -> Command:
    return Command(tuple(Word(word) for word in words))


def test_argv_is_the_words_as_text_and_nothing_joined() -> None:
    assert command("ls", "a b", "", "-l").argv == ("ls", "a b", "", "-l")
    assert Command((Word("ls"), Word("*.md", glob="*.md"))).argv == ("ls", "*.md")


def test_commands_are_every_command_of_every_step_in_order() -> None:
    a, b, c = command("a"), command("b"), command("c")
    plan = Plan((Step(Connector.FIRST, (a, b)), Step(Connector.AND, (c,))))
    assert plan.commands == (a, b, c)


def test_a_plan_of_nothing_runs_nothing() -> None:
    assert Plan(()).commands == ()
