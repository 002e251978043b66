from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bascule.sandboxes.worker.pages import decoded, load_encodings, text_of

load_encodings()

HIDING = [
    "<!-- SECRET -->", "<!-- SECRET --!>", "<!--SECRET", "<!-->shown<!-- SECRET -->", "<script>SECRET</script>",
    "<style>SECRET</style>", "<template><p>SECRET</template>", "<noscript>SECRET</noscript>", "<p hidden>SECRET</p>",
    "<div style='display:none'><div><b>SECRET</b></div></div>", "<span aria-hidden=true>SECRET</span>",
    "<style>.x{display:none}</style><i class='y x'>SECRET</i>", "<i class=x>SECRET</i><style>.x{opacity:0}</style>",
    "<img alt=SECRET title=SECRET src=SECRET>", "<a title=SECRET href='javascript:SECRET'>shown</a>",
    "<input type=hidden value=SECRET>", "<meta name=description content=SECRET>", "<svg><text>SECRET</text></svg>",
    "<svg><title>SECRET</title></svg>", "<iframe>SECRET</iframe>", "<object>SECRET</object>", "<?php SECRET ?>",
    "<![CDATA[SECRET]]>", "<!DOCTYPE SECRET>", "<p style='display:none' style='display:block'>SECRET</p>",
    "<p hidden>SECRET<span>SECRET", "<style>q{font-size:0}</style><Q>SECRET</Q>", "<textarea hidden>SECRET</textarea>",
    "<a href='data:text/plain,SECRET'>shown</a>", "<a href='#SECRET'>shown</a>", "<dialog>SECRET</dialog>",
    "<p data-x=SECRET>shown", "<scr\0ipt>x</script><script >SECRET</script >", "<!-- a --><!-- SECRET -->",
]  # fmt: skip


@pytest.mark.parametrize("markup", HIDING)
def test_what_a_reader_does_not_see_is_left_out(markup):
    assert "SECRET" not in text_of(f"<html><body><p>before</p>{markup}")
    assert "before" in text_of(f"<html><body><p>before</p>{markup}")


@pytest.mark.parametrize(
    "markup",
    [
        "WORD", "<p>WORD", "<p hidden>x</p>WORD", "<div hidden>x</div><p>WORD", "<p hidden>x<div>WORD</div>",
        "<!-- x -->WORD", "<script>a='<!--'</script>WORD", "<script>'</p>'</script>WORD", "&#87;ORD", "<b>W</b>ORD",
        "<li hidden>x<li>WORD", "<td hidden>x<td>WORD", "<unknown>WORD</unknown>", "<title>x</title>WORD", "</p>WORD",
        "<template>x</template>WORD", "<br hidden>WORD", "<img hidden>WORD", "<textarea>WORD</textarea>",
        "<![endif]>WORD", "<!--[if IE]>x<![endif]-->WORD", "<option hidden>x<option>WORD", "< WORD", "<p/hidden/>x</p>WORD",
        "<title>WORD", "<details><summary>x</summary>WORD</details>",
    ],
)  # fmt: skip
def test_what_a_reader_sees_is_there(markup):
    assert "WORD" in text_of(f"<html><body>{markup}")


def test_the_shape_of_a_page():
    page = """<!doctype html><html><head><title> A &amp; B </title></head><body><h2>Head</h2><p>one  two
      <a href="/x?y=1">three</a></p><ul><li>a<li>b</ul><table><tr><th>h<td>1<tr><td>2</table><pre>if:
    deep</pre>end"""
    assert text_of(page) == (
        "A & B\n\n## Head\n\none two three </x?y=1>\n\n- a\n- b\n\n| h | 1\n| 2\n\nif:\n    deep\n\nend"
    )


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        (b"\xc3\xa9", "", "é"), (b"\xc3\xa9", "utf-8", "é"), (b"\xe9", "iso-8859-1", "é"), (b"\x80", "latin1", "€"),
        (b"\xff", "utf-8", "�"), (b"\xef\xbb\xbfa", "iso-8859-1", "a"), (b"\xff\xfea\0", "utf-8", "a"),
        (b'<meta charset="windows-1251">\xe9', "", '<meta charset="windows-1251">й'), (b"a", "utf-7", None),
        (b"<meta charset=utf-7>+AGE-", "", None), (b"a", "rot13", None), (b"\x82\xa0", "shift_jis", "あ"),
    ],
)  # fmt: skip
def test_encodings(body, charset, text):
    assert decoded(body, charset) == text


PIECES = st.sampled_from(
    ["<", ">", "<!--", "-->", "<!", "<![", "]]>", "<p", " hidden", "</", "div>", "<script>", "</script", "&", "&#x", ";",
     "<a href='", "'", '"', "=", "style", "{display:none}", "x", " ", "\n", "\0", "<?", "<td>", "<li>", "/", "<svg>"]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_no_page_breaks_the_reader(markup):
    assert isinstance(text_of(markup), str)


@settings(max_examples=200)
@given(st.lists(PIECES, max_size=20).map("".join))
def test_a_well_formed_hidden_element_stays_hidden_whatever_came_before(markup):
    closed = f"{markup}'\">--></script></style></template></title></noscript></iframe>]]>"
    assert "SECRET" not in text_of(f"{closed}<p><div hidden>SECRET</div>")


def test_depth_is_bounded():
    assert "WORD" in text_of("<div>" * 100_000 + "WORD")
