"""The table at the end: a row a step, laid out by rich for the terminal's width, printed through the sink."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from bascule.cli.sink import PAINT, Sink
from bascule.core.visible import one_line
from demo.play import Played

WIDE, NARROW, WIDEST = 112, 60, 150
"""Columns from which the remedy has its own, below which a row is a block, and beyond which none is used."""

COLOURS = {"ran": "green", "failed": "yellow", "asked": "yellow", "denied": "red"}
"""How an effect is painted, by its first word."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step in words; every cell but ``title`` is read from the ledger or a canary."""

    title: str
    asked: str
    effect: str
    detail: str
    canary: str
    said: tuple[str, ...]
    remedy: str
    faults: tuple[str, ...]


def row(played: Played, shorten: tuple[tuple[str, str], ...]) -> Row:
    """Return a step in words.

    Args:
        played: the step.
        shorten: long texts (the home's path) and what to write instead.
    """
    evidence = played.evidence

    def short(text: str) -> str:
        for long, brief in shorten:
            text = text.replace(long, brief)
        return one_line(text)

    effects = evidence.effects()
    many = sum(effects.values()) > 1
    effect = ", ".join(f"{count} {name}" if many else name for name, count in effects.most_common())
    return Row(
        title=played.step.title,
        asked=short(evidence.asked()),
        effect=effect or "nothing",
        detail=short(_detail(played)),
        canary=_canary(played),
        said=tuple(short(line) for line in _said(played)),
        remedy=short(evidence.remedy()),
        faults=tuple(short(fault) for fault in played.faults()),
    )


def _canary(played: Played) -> str:
    canary = played.step.canary
    said = f"canary {'file ' if canary.file else 'service ' if canary.visits else ''}{played.state}"
    if played.race is None:
        return said
    contest = played.race
    reads = sum(played.evidence.effects().values())
    naive = f"a naive reader gave it away {contest.leaks} of {contest.tries} times"
    return f"{said} in {reads} reads, {contest.swaps} swaps; {naive}"


def _detail(played: Played) -> str:
    """How the calls ended; of a program that failed also the first line of what it said."""
    parts = played.evidence.endings()
    lines = b"".join(played.results).decode("utf-8", "replace").strip().splitlines()
    if lines and not played.evidence.codes() and played.evidence.effects().keys() & {"failed", "asked: yes, failed"}:
        parts.append(lines[0])
    return "; ".join(parts)


def _said(played: Played) -> list[str]:
    """Everyone who objected, with the code; who answered; what was there to run; what the hands refused."""
    evidence = played.evidence
    parts = [f"{verdict['judge']}: {verdict['code']}" for verdict in evidence.objections()]
    if not parts and evidence.verdicts():
        parts.append(f"all {len(evidence.verdicts())} judges allow")
    if answer := evidence.answered():
        parts.append(f"operator {answer}")
    if box := evidence.box():
        parts.append(f"box: only {', '.join(box)}")
    hands = "the gateway's client" if evidence.tool().startswith("web_") else "file worker"
    parts += [f"{hands}: {code}" for code in evidence.codes()]
    return parts


def show(sink: Sink, rows: Sequence[Row]) -> None:
    """Print the rows, as wide as the terminal is."""
    width = min(sink.columns, WIDEST)
    if width < NARROW:
        for each in rows:
            _block(sink, each)
        return
    paper = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="standard", highlight=False)
    for line in paper.render_lines(_drawn(rows, wide=width >= WIDE), pad=False):
        sink.painted(_pieces([(segment.text, segment.style) for segment in line]))
        sink.line()


def _block(sink: Sink, each: Row) -> None:
    sink.painted([(f"{_mark(each)} {each.title}", "bold"), ("\n", "")])
    named = {
        "asked": each.asked,
        "effect": each.effect,
        "detail": each.detail,
        "canary": each.canary,
        "who": ", ".join(each.said),
    }
    sink.pairs({**named, "remedy": each.remedy, "but": "; ".join(each.faults)}.items())
    sink.line()


def _mark(each: Row) -> str:
    return "!!" if each.faults else "ok"


def _drawn(rows: Sequence[Row], *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 2, 1, 0), expand=True)
    table.add_column("", width=2)
    table.add_column("WHAT THE MODEL ASKED", ratio=9, overflow="fold")
    table.add_column("WHAT HAPPENED", ratio=7 if not wide else 8, overflow="fold")
    table.add_column("WHO SAID SO" if wide else "WHO SAID SO -> REMEDY", ratio=8 if wide else 9, overflow="fold")
    if wide:
        table.add_column("REMEDY", ratio=8, overflow="fold")
    for each in rows:
        mark = Text(_mark(each), style="red bold" if each.faults else "green")
        asked = _lines((each.title, "bold"), (each.asked, ""))
        happened = _lines((each.effect, _colour(each)), (each.detail, ""), (each.canary, ""))
        happened.append_text(Text("".join(f"\n{fault}" for fault in each.faults), style="red bold"))
        said = [(line, "") for line in each.said]
        if wide:
            table.add_row(mark, asked, happened, _lines(*said), Text(each.remedy))
        else:
            table.add_row(mark, asked, happened, _lines(*said, (each.remedy and f"-> {each.remedy}", "dim")))
    return table


def _colour(each: Row) -> str:
    word = each.effect.lstrip("0123456789 ").partition(":")[0].partition(",")[0]
    return COLOURS.get(word, "red")


def _lines(*parts: tuple[str, str]) -> Text:
    return Text("\n").join(Text(text, style=style) for text, style in parts if text)


def _pieces(segments: Sequence[tuple[str, Style | None]]) -> Iterator[tuple[str, str]]:
    """Yield what the sink paints: a laid-out line without the blanks at its end."""
    last = max((place for place, (text, _) in enumerate(segments, 1) if text.strip()), default=0)
    for place, (text, style) in enumerate(segments[:last], 1):
        yield (text.rstrip() if place == last else text), _how(style)


def _how(style: Style | None) -> str:
    if style is None:
        return ""
    words = [word for word, on in (("bold", style.bold), ("dim", style.dim)) if on]
    if style.color is not None and style.color.name in PAINT:
        words.append(style.color.name)
    return " ".join(words)
