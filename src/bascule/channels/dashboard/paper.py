"""What every page is drawn on: the one Jinja environment, in which a template cannot print anything raw.

Stops: an agent's text becoming markup or hiding from the eye. Autoescape is always on, every value that a template
prints goes through ``core/visible.py`` first whether or not the template remembers, a name that is not there and a None
are errors rather than nothing, and no template can be made from text. Does not stop look-alike letters, nor a template
of ours from putting a value into an attribute that browsers act on: only ``href`` and ``action`` take addresses here,
and those come from :func:`address`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from bascule.channels.dashboard.assets import assets
from bascule.channels.dashboard.views import amount, tone
from bascule.core.visible import one_line, pieces


def _printed(value: object) -> object:
    """Return what a template prints for ``{{ value }}``: markup of ours as it is, all else as one visible line."""
    if isinstance(value, Undefined | Markup):
        return value
    if value is None or isinstance(value, bool):
        raise TypeError(f"a template printed {value}; it must say what that means")
    return one_line(str(value))


def shown(untrusted_text: str) -> Markup:
    """Return text of any number of lines as markup; what had to be written out stands in ``<i class="hid">``."""
    return Markup("").join(
        Markup('<i class="hid">{}</i>').format(text) if written_out else escape(text)
        for text, written_out in pieces(untrusted_text)
    )


def shown_line(untrusted_text: str) -> Markup:
    """Return text as :func:`shown`, but as one line: its ends and tabs are written out as well."""
    marked = shown(untrusted_text)
    for character, spelled in (("\n", r"\n"), ("\t", r"\t")):
        marked = marked.replace(character, Markup('<i class="hid">{}</i>').format(spelled))
    return marked


def address(base: str, path: str, query: Mapping[str, str | int]) -> str:
    """Return an address on this very server; every part is quoted, so no value can leave its place.

    Args:
        base: what a reverse proxy puts before every path, empty or ``/name``.
        path: begins with ``/``; a part that is somebody's text must not hold a ``/`` of its own.
        query: names and values; empty values are left out.
    """
    # What is no text (a lone surrogate) becomes a question mark: it leads nowhere, and the page around it stands.
    asked = urlencode({name: value for name, value in query.items() if value != ""}, errors="replace")
    return f"{base}{quote(path, errors='replace')}" + (f"?{asked}" if asked else "")


@pass_context
def _to(context: Context, path: str, **query: str | int) -> str:
    return address(str(context["base"]), path, query)


@pass_context
def _asset(context: Context, name: str) -> str:
    return address(str(context["base"]), f"/static/{name}", {"v": assets()[name].version})


@cache
def environment() -> Environment:
    """Return the environment; the same every time."""
    made = Environment(
        loader=PackageLoader("bascule.channels.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["to"] = _to
    made.globals["asset"] = _asset
    made.globals["amount"] = amount
    made.globals["tone"] = tone
    made.filters["shown"] = shown
    made.filters["shown_line"] = shown_line
    return made


def draw(template: str, base: str, **values: object) -> str:
    """Return a page or a part of one as HTML.

    Args:
        template: name of a file in ``templates/``.
        base: as in :func:`address`.
        values: what the template names, all of it.
    """
    return environment().get_template(template).render(base=base, **values)
