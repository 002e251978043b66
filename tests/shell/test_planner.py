"""Plans: steps and connectors, streams, and the words that are no programs."""

from __future__ import annotations

import itertools

import pytest

from bascule.core.errors import Malformed
from bascule.core.plan import Connector, Plan, Streams
from bascule.shell.lexer import tokens
from bascule.shell.planner import BUILTINS, MAX_COMMANDS, RESERVED, plan


def planned(line: str) -> Plan:
    return plan(tokens(line))


def test_connectors_stand_before_their_step_and_pipes_inside_one() -> None:
    steps = planned("a | b && c || d ; e | f | g").steps
    assert [step.connector for step in steps] == [Connector.FIRST, Connector.AND, Connector.OR, Connector.THEN]
    assert [[command.argv[0] for command in step.pipeline] for step in steps] == [
        ["a", "b"],
        ["c"],
        ["d"],
        ["e", "f", "g"],
    ]


def test_every_command_counts_towards_the_limit() -> None:
    assert len(planned(" | ".join(["a"] * MAX_COMMANDS)).commands) == MAX_COMMANDS
    for joint in ("|", "&&", "||", ";"):
        with pytest.raises(Malformed) as refused:
            planned(joint.join(["a"] * (MAX_COMMANDS + 1)))
        assert refused.value.code == "shell_too_many"


@pytest.mark.parametrize("word", sorted(RESERVED | set(BUILTINS)))
def test_shell_words_are_no_programs_in_any_place_a_program_stands(word: str) -> None:
    for line in (f"\"\"'{word}' x", f"'{word}' x", f"ls | '{word}'", f"ls && '{word}'", f">f '{word}'"):
        with pytest.raises(Malformed) as refused:
            planned(line)
        assert refused.value.code in {"shell_reserved_word", "shell_builtin", "shell_negation"}
        assert refused.value.remedy
    (command,) = planned(f"ls '{word}'").commands
    assert command.argv == ("ls", word)


_PARTS = {
    "": (None, None, "err"),
    ">f": (1, "f", None),
    ">>f": (1, "f", None),
    ">/dev/null": (1, "/dev/null", None),
    "2>/dev/null": (2, "/dev/null", None),
    "2>&1": (2, "1", None),
    "<f": (0, "f", None),
}


@pytest.mark.parametrize("parts", list(itertools.permutations(_PARTS, 3)), ids=" ".join)
def test_order_of_redirects_means_what_a_simple_model_of_descriptors_says(parts: tuple[str, ...]) -> None:
    """The model: a table of what each descriptor points at, changed from left to right."""
    points: dict[int, str] = {0: "in", 1: "out", 2: "err"}
    numbers = []
    for part in parts:
        number, target, _ = _PARTS[part]
        if number is not None and target is not None:
            numbers.append(number)
            points[number] = points[1] if target == "1" else target
    sayable = len(numbers) == len(set(numbers)) and points[2] in {"err", "/dev/null", points[1]}
    try:
        (command,) = planned("cat x " + " ".join(parts)).commands
    except Malformed as refused:
        assert not sayable, refused  # noqa: PT017 -- whether it is refused is the question
        return
    assert sayable
    streams = command.streams
    assert (streams.stdin or "in", streams.stdout or "out") == (points[0], points[1])
    stderr = "null" if points[2] == "/dev/null" else "err" if points[2] == "err" else "out"
    assert streams.stderr == stderr
    assert streams.append == (">>f" in parts)


def test_a_command_without_redirects_has_plain_streams() -> None:
    assert planned("ls").commands[0].streams == Streams()
