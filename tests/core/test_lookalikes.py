import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.lookalikes import lookalikes


@pytest.mark.parametrize(
    "letter",
    [
        "\u0430",  # Cyrillic a
        "\u03bf",  # Greek omicron
        "\u0578",  # Armenian vo
        "\u13aa",  # Cherokee go
        "\uff41",  # fullwidth a
        "\U0001d44e",  # mathematical italic a
        "\u0131",  # dotless i
        "\u0251",  # Latin alpha
        "\u2044",  # fraction slash
        "\u2215",  # division slash
        "\u2024",  # one dot leader
        "\ua789",  # modifier letter colon
        "\u2010",  # hyphen
    ],
)
def test_what_could_pass_for_ascii_is_named(letter: str) -> None:
    (line,) = lookalikes([f"/srv/x{letter}y", f"again {letter}"])
    assert f"U+{ord(letter):04X}" in line
    assert letter not in line


@pytest.mark.parametrize(
    "text", ["plain ./a-b_c", "grün née señor", "漢字かなカナ", "عربى", "“quoted” \u2013 dashes…", "🙂"]
)
def test_what_nobody_mistakes_is_left_alone(text: str) -> None:
    assert lookalikes([text]) == ()


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_never_named(text: str) -> None:
    assert lookalikes([text]) == ()


@given(st.lists(st.text()))
def test_every_line_is_one_line_of_ascii(lines: list[str]) -> None:
    assert all(line.isascii() and len(line.splitlines()) == 1 for line in lookalikes(lines))
