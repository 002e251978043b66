from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.sandboxes.worker.hiding import hidden_by, hides, is_hidden


@pytest.mark.parametrize(
    "style",
    [
        "display:none", "DISPLAY : NONE !important", "color:red;display:none", "/* x */display:none", "visibility:hidden",
        "visibility: collapse", "opacity:0", "opacity: 0.0", "opacity:.01", "opacity:1%", "font-size:0", "font-size:1px",
        "font-size:0.1em", "text-indent:-9999px", "position:absolute;left:-10000px", "margin-left:-5000px",
        "top:-99em", "clip:rect(0,0,0,0)", "clip: rect(1px, 1px, 1px, 1px)", "clip-path:inset(100%)", "color:transparent",
        "height:0;overflow:hidden", "width:1px; overflow : hidden", "max-height:0;overflow:hidden", "transform:scale(0)",
        "content-visibility:hidden",
    ],
)  # fmt: skip
def test_styles_that_take_words_from_sight(style):
    assert hides(style)
    assert is_hidden("p", {"style": style}, frozenset())
    assert hidden_by(f".x {{ {style} }}") == {".x"}


@pytest.mark.parametrize(
    "style",
    [
        "", "display:block", "opacity:1", "opacity:50%", "font-size:12px", "font-size:0.8em", "text-indent:2em",
        "left:-5px", "height:0", "overflow:hidden", "color:black", "clip:auto", "transform:scale(0.5)", ":", ";;", "x",
        "display:none;display:block",
    ],
)  # fmt: skip
def test_styles_that_do_not(style):
    assert not hides(style)


@pytest.mark.parametrize(
    ("sheet", "found"),
    [
        (".a, #b , p.c{display:none}", {".a", "#b", "p.c"}),
        ("P{display:none}", {"p"}),
        ("*.a{display:none}", {".a"}),
        ("@media screen { .a{display:none} }", {".a"}),
        ("@media print { .a{display:none} .b{color:red} } .c{display:none}", {".c"}),
        ("@media print, screen { .a{display:none} }", {".a"}),
        ("@charset 'x'; .a{display:none}", {".a"}),
        ("/* .a{display:none} */ .b{display:none}", {".b"}),
        ("body{visibility:hidden}", set()),
        (".a .b, .a>.b, .a:hover{display:none}", set()),
        (".a{display:none", set()),
        (".a{color:red}", set()),
    ],
)
def test_simple_rules_of_a_page(sheet, found):
    assert hidden_by(sheet) == found


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        ("p", {"hidden": ""}), ("p", {"aria-hidden": "TRUE"}), ("p", {"class": "b  a"}), ("p", {"id": "i"}),
        ("q", {}), ("div", {"class": "d"}),
    ],
)  # fmt: skip
def test_elements_that_are_not_shown(tag, attributes):
    assert is_hidden(tag, attributes, frozenset({".a", "#i", "q", "div.d"}))


@pytest.mark.parametrize(("tag", "attributes"), [("p", {}), ("p", {"class": "aa"}), ("p", {"class": "d"}), ("q1", {})])
def test_elements_that_are(tag, attributes):
    assert not is_hidden(tag, attributes, frozenset({".a", "#i", "q", "div.d"}))


@given(st.text(alphabet="{}@.#,;:/* adispylnoe0-px()", max_size=200))
def test_any_sheet_is_read(sheet):
    assert isinstance(hidden_by(sheet), frozenset)
    assert hides(sheet) in {True, False}
