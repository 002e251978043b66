"""What a page does not show its reader, as far as the page itself says so.

Stops: words that an attribute, an inline style or a simple rule of the page's own style sheets takes from a reader's
eyes while a model would still read them. Does not stop: hiding by a style sheet elsewhere, by a script, by a selector
of more than one part, or by one colour on another of the same.
"""

from __future__ import annotations

import re

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
_PRINT = re.compile(r"@media\s+print\s*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", re.IGNORECASE)
_SIMPLE = re.compile(r"[a-z][a-z0-9]*|(?:[a-z][a-z0-9]*)?[.#][\w-]+", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))\s*(px|em|rem|ex|ch|pt|pc|cm|mm|in|vw|vh|%)?", re.IGNORECASE | re.ASCII
)

_MOST_SHEETS = 1 << 20
"""Characters of style sheets that are looked at; a page of a megabyte of rules is not a text to read."""

_MOST_SELECTORS = 20_000
_SMALLEST_SIZE = 2.0
"""A font of this many pixels or fewer is not read by anybody."""

_FAR = 900.0
"""So many units beside the page is outside every window."""

_NEVER_SHOWN = frozenset({"body", "html", "main", "article"})
"""Elements whose hiding by a rule means that a script shows them later, as many pages do."""

_PLAINLY = {
    ("display", "none"), ("visibility", "hidden"), ("visibility", "collapse"), ("content-visibility", "hidden"),
    ("color", "transparent"), ("clip-path", "inset(100%)"), ("clip-path", "inset(50%)"), ("clip-path", "circle(0)"),
}  # fmt: skip
_CLIP = re.compile(r"rect\(\s*(0|1)(px)?[\s,]+(0|1)(px)?[\s,]+(0|1)(px)?[\s,]+(0|1)(px)?\s*\)", re.ASCII)
_NONE_SCALED = re.compile(r"scale[xy]?\(\s*0(\.0*)?\s*[,)]", re.ASCII)


def hides(declarations: str) -> bool:
    """True if a style's declarations take an element from sight.

    Args:
        declarations: as between the braces of a rule, or in the attribute ``style``.
    """
    found: dict[str, str] = {}
    for each in _COMMENT.sub("", declarations).split(";"):
        name, _, value = each.partition(":")
        found[name.strip().lower()] = " ".join(value.lower().replace("!important", "").split())
    return any(_is_hiding(name, value) for name, value in found.items()) or _is_box_of_nothing(found)


def _is_hiding(name: str, value: str) -> bool:
    if (name, value) in _PLAINLY:
        return True
    size = _size(value)
    if name == "opacity":
        return size is not None and size <= (5.0 if value.endswith("%") else 0.05)
    if name == "font-size":
        return size is not None and _is_tiny(value, size)
    if name in {"text-indent", "left", "right", "top", "bottom", "margin-left", "margin-top"}:
        return size is not None and size <= -(9.0 if value.endswith("em") else _FAR)
    if name == "clip":
        return _CLIP.fullmatch(value) is not None
    return name == "transform" and _NONE_SCALED.search(value) is not None


def _is_tiny(value: str, size: float) -> bool:
    return size <= 0.15 if value.endswith(("em", "vw", "vh")) else size <= _SMALLEST_SIZE


def _is_box_of_nothing(found: dict[str, str]) -> bool:
    """True for a box of at most a pixel that shows nothing beyond its borders."""
    if found.get("overflow", "") not in {"hidden", "clip"}:
        return False
    sizes = [_size(found.get(name, "")) for name in ("height", "width", "max-height", "max-width")]
    return any(size is not None and size <= 1 for size in sizes)


def _size(value: str) -> float | None:
    found = _NUMBER.fullmatch(value)
    return float(found[1]) if found else None


def hidden_by(sheets: str) -> frozenset[str]:
    """Return the simple selectors (``p``, ``.class``, ``#id``, ``p.class``) whose rules hide what they match.

    Args:
        sheets: the page's style sheets, one after the other; rules for print alone do not count.
    """
    plain = _PRINT.sub("", _COMMENT.sub("", sheets[:_MOST_SHEETS]))
    found: set[str] = set()
    for rule in _RULE.finditer(plain):
        if len(found) >= _MOST_SELECTORS:
            break
        if hides(rule[2]):
            found.update(each for each in _simple(rule[1]) if each not in _NEVER_SHOWN)
    return frozenset(found)


def _simple(selectors: str) -> list[str]:
    asked = (each.strip().removeprefix("*") for each in selectors.rpartition(";")[2].split(","))
    return [each if each[0] in ".#" else _named(each) for each in asked if _SIMPLE.fullmatch(each)]


def _named(selector: str) -> str:
    mark = next((at for at, character in enumerate(selector) if character in ".#"), len(selector))
    return selector[:mark].lower() + selector[mark:]


def is_hidden(tag: str, attributes: dict[str, str], rules: frozenset[str]) -> bool:
    """True if an element is not shown, whatever it holds.

    Args:
        tag: in lower case.
        attributes: by name in lower case; the first of a name, as browsers do.
        rules: of :func:`hidden_by`.
    """
    if "hidden" in attributes or attributes.get("aria-hidden", "").strip().lower() == "true":
        return True
    if hides(attributes.get("style", "")):
        return True
    names = [f".{name}" for name in attributes.get("class", "").split()]
    if "id" in attributes:
        names.append(f"#{attributes['id'].strip()}")
    return bool(rules) and (tag in rules or any(name in rules or tag + name in rules for name in names))
