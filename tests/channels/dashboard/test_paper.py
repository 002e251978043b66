from __future__ import annotations

import re
from html import unescape
from importlib import resources

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markupsafe import Markup

from bascule.channels.dashboard.paper import address, environment, shown, shown_line
from bascule.core.visible import one_line, visible

PLACE = resources.files("bascule.channels.dashboard") / "templates"
TEMPLATES = sorted(entry.name for entry in PLACE.iterdir())
NASTY = "<img src=x onerror=alert(1)>\x1b[31m\u202e\u200b\u2066&amp;'\"`\ud800\n\t"
TEXT = st.text(st.characters() | st.sampled_from(NASTY))


def source(name: str) -> str:
    return (PLACE / name).read_text("utf-8")


def drawn(text: str, **values: object) -> str:
    return environment().from_string(text).render(**values)


@given(TEXT)
@example(NASTY)
def test_whatever_is_printed_is_escaped_and_visible(text: str) -> None:
    plain = drawn("{{ it }}", it=text)
    assert not re.search(r"[<>\"']", plain)
    assert unescape(plain) == one_line(text)
    for filtered, expected in ((shown(text), visible(text)), (shown_line(text), one_line(text))):
        inner = filtered.replace(Markup('<i class="hid">'), "").replace(Markup("</i>"), "")
        assert not re.search(r"[<>\"']", inner)
        assert unescape(inner) == expected


def test_what_was_written_out_looks_unlike_the_same_words_in_plain_letters() -> None:
    assert shown("\x1b") == '<i class="hid">\\x1b</i>'
    assert shown("\\x1b") == "\\x1b"
    assert shown_line("a\nb") == 'a<i class="hid">\\n</i>b'


def test_a_name_that_is_not_there_is_an_error_and_so_is_nothing() -> None:
    with pytest.raises(UndefinedError):
        drawn("{{ missing }}")
    with pytest.raises(UndefinedError):
        drawn("{{ it.missing }}", it={})
    for value in (None, True, False):
        with pytest.raises(TypeError):
            drawn("{{ it }}", it=value)


@given(TEXT, TEXT, TEXT.filter(bool))
def test_an_address_stays_on_this_server_whatever_stands_in_it(part: str, value: str, name: str) -> None:
    made = address("/base", f"/agents/{part}", {name: value})
    assert re.fullmatch(r"/base/agents/[A-Za-z0-9_.~/%-]*(\?[A-Za-z0-9_.~%+*-]+=[A-Za-z0-9_.~%+*-]*)?", made)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_reads(name: str) -> None:
    assert environment().get_template(name).name == name


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_holds_script_style_or_a_way_around_escaping(name: str) -> None:
    text = source(name)
    assert (
        re.findall(
            r"\|\s*safe\b|autoescape|Markup|\son\w+\s*=|\sstyle\s*=|<style|javascript:|https?://(?!localhost)", text
        )
        == []
    )
    assert re.findall(r"<script(?! src=\"\{\{ asset\()", text) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_address_in_a_template_is_ours(name: str) -> None:
    acted_on = re.findall(
        r"\b(?:href|src|action|hx-(?:get|post)|data-(?:live|part|sync|cards))=\"([^\"]*)", source(name)
    )
    foreign = [
        value for value in acted_on if not re.match(r"\{\{ (to|asset)\(", value) and not re.fullmatch(r"#[a-z]+", value)
    ]
    assert foreign == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_attribute_is_quoted(name: str) -> None:
    assert re.findall(r"\s[a-z-]+=\{\{", source(name)) == []
