"""The text of a page as a reader would see it; runs in a box that holds nothing but the page.

Stops: what a page hides from its reader reaching a model: comments, scripts, templates, hidden elements, alternative
texts. Never raises for any bytes. Does not stop: words that anybody can read and that lie; the result is untrusted.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from contextlib import suppress
from html import unescape
from html.parser import HTMLParser

from bascule.sandboxes.worker.hiding import hidden_by, is_hidden

_NAMES: Mapping[str, tuple[str, ...]] = {
    "utf-8": ("", "utf-8", "utf8"),
    "cp1252": ("us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252"),
    "iso8859-2": ("iso-8859-2",),
    "iso8859-15": ("iso-8859-15",),
    "cp1250": ("windows-1250",),
    "cp1251": ("windows-1251",),
    "koi8-r": ("koi8-r",),
    "utf-16-le": ("utf-16", "utf-16le"),
    "utf-16-be": ("utf-16be",),
    "cp932": ("shift_jis", "shift-jis", "windows-31j"),
    "euc-jp": ("euc-jp",),
    "cp949": ("euc-kr", "ks_c_5601-1987"),
    "gb18030": ("gb2312", "gbk", "gb18030"),
    "big5hkscs": ("big5",),
}
"""What a page may call its encoding, by what that is in practice (WHATWG Encoding, section 4.2)."""

_DROPPED = frozenset(
    {
        "script", "style", "template", "noscript", "iframe", "object", "embed", "svg", "math", "canvas", "audio",
        "video", "map", "datalist", "noframes", "noembed", "applet", "head", "title", "dialog",
    }
)  # fmt: skip
"""Elements whose content a reader does not see as text. A title is told apart."""

_VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
        "keygen",
        "frame",
        "basefont",
        "bgsound",
    ]
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "body",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "menu",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "ul",
    ]
)
_CELLS = frozenset({"td", "th"})
_ROWS = frozenset({"td", "th", "tr"})
_APART = frozenset(
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "pre", "blockquote", "article", "section"]
)
_CLOSED_BY: Mapping[str, frozenset[str]] = {
    "p": _BLOCKS - {"br", "body", "html"},
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "td": _ROWS,
    "th": _ROWS,
    "tr": frozenset({"tr"}),
    "option": frozenset({"option"}),
}
"""Elements that end by themselves where one of these begins (HTML, section 13.1.2.4)."""

_DEEPEST = 512
"""Elements open at once; deeper ones are read as their parent."""

_LONGEST_LINK = 500
_SPACES = re.compile(r"[ \t\n\r\f]+")
_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_UNREAD = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))|<(script|style|template|noscript|iframe|noembed|noframes|title)(?=[\s/>])[^>]{0,9999}>"
    r"(.*?)(?:</\1(?=[\s/>])[^>]{0,999}>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
"""A comment, or an element whose content is not markup of the page, to its end or the page's."""


def load_encodings() -> None:
    """Load what decodes; afterwards no file may be opened."""
    for name in _NAMES:
        with suppress(LookupError, ImportError):
            codecs.lookup(name)


def decoded(untrusted_page: bytes, charset: str) -> str | None:
    """Return a page's characters, with a replacement for what is none; None for an encoding that is not known.

    Args:
        untrusted_page: as it came.
        charset: what the site calls its encoding, in lower case; empty if it does not say.
    """
    for mark, codec in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if untrusted_page.startswith(mark):
            return untrusted_page[len(mark) :].decode(codec, "replace")
    said = charset
    if not said:
        found = _META.search(untrusted_page[:4096])
        said = found[1].decode("ascii").lower() if found else ""
    for codec, names in _NAMES.items():
        if said in names:
            try:
                return untrusted_page.decode(codec, "replace")
            except LookupError:
                return None
    return None


def text_of(untrusted_page: str) -> str:
    """Return the text of a page as a reader would see it, its title first, links behind their words; total."""
    titles: list[str] = []
    sheets: list[str] = []

    def take(found: re.Match[str]) -> str:
        name = (found[1] or "").lower()
        if name == "style":
            sheets.append(found[2])
        elif name == "title" and not titles:
            # A drawing's title is not the page's; no reader sees it.
            titles.append("" if "<svg" in untrusted_page[: found.start()].lower() else found[2])
        return " "

    markup = _UNREAD.sub(take, untrusted_page)
    reader = _Reader(hidden_by("\n".join(sheets)))
    reader.feed(markup)
    reader.close()
    title = " ".join(unescape(titles[0]).split()) if titles else ""
    body = "\n".join(line.rstrip() for line in "".join(reader.pieces).split("\n"))
    return f"{title}\n\n{body}" if title else body


class _Reader(HTMLParser):
    """Collects what is shown."""

    def __init__(self, rules: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._rules = rules
        self._open: list[tuple[str, bool, str]] = []
        self._owed = 0
        self._lead = ""

    @property
    def _is_hidden(self) -> bool:
        return bool(self._open) and self._open[-1][1]

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """Read ``<![`` as browsers do, as a comment up to the next ``>``."""
        del report
        end = self.rawdata.find(">", i)
        return -1 if end < 0 else end + 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See the base."""
        while self._open and tag in _CLOSED_BY.get(self._open[-1][0], ()):
            self._pop()
        attributes: dict[str, str] = {}
        for name, value in attrs:
            attributes.setdefault(name, value or "")
        hidden = self._is_hidden or tag in _DROPPED or is_hidden(tag, attributes, self._rules)
        if not hidden:
            self._begin(tag)
        if tag not in _VOID and len(self._open) < _DEEPEST:
            self._open.append((tag, hidden, _link(attributes) if tag == "a" and not hidden else ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Read a slash at the end as browsers do: it means nothing."""
        self.handle_starttag(tag, attrs)

    def _begin(self, tag: str) -> None:
        self._break(tag)
        if tag == "li":
            self._lead = "- "
        elif tag in _CELLS:
            self._lead += "| " if self._owed or not self.pieces else " | "
        elif len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._lead = "#" * int(tag[1]) + " "

    def _break(self, tag: str) -> None:
        """Owe the line ends that set an element apart; they are paid before the next word."""
        if tag in _BLOCKS and tag not in _CELLS:
            self._owed = max(self._owed, 2 if tag in _APART else 1)
            self._lead = ""

    def _say(self, words: str) -> None:
        if self._owed and self.pieces:
            self.pieces.append("\n" * self._owed)
        self.pieces.append(self._lead + words)
        self._owed, self._lead = 0, ""

    def handle_endtag(self, tag: str) -> None:
        """See the base; an end without a beginning is nothing."""
        if any(each[0] == tag for each in self._open):
            while self._pop() != tag:
                pass

    def _pop(self) -> str:
        tag, hidden, link = self._open.pop()
        if not hidden and link:
            self._say(f" <{link}>")
        if not hidden:
            self._break(tag)
        return tag

    def handle_data(self, data: str) -> None:
        """See the base."""
        if self._is_hidden:
            return
        if any(each[0] == "pre" for each in self._open):
            self._say(data)
            return
        words = _SPACES.sub(" ", data)
        if self._owed or self._lead or not self.pieces or self.pieces[-1].endswith((" ", "\n")):
            words = words.removeprefix(" ")
        if words:
            self._say(words)


def _link(attributes: Mapping[str, str]) -> str:
    """Return the address of a link that can be asked for, empty for any other."""
    address = attributes.get("href", "").strip()
    scheme, colon, _ = address.partition(":")
    if not address or address.startswith("#") or len(address) > _LONGEST_LINK or not address.isprintable():
        return ""
    if " " in address or (colon and "/" not in scheme and scheme.lower() not in {"http", "https"}):
        return ""
    return address
