"""What is shown and what is written down: a table for people, ``build/bench.json`` for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bench.measure import Figures, Rival, Row

WIDTHS = (60, 6, 18, 18, 20)


def head() -> str:
    """Return the table's first line."""
    return _line("", "n", "p50", "p99", "target")


def lines(row: Row) -> Iterable[str]:
    """Yield a row and its rivals, each with how many times our median it takes."""
    yield _line(row.name, *_cells(row.figures, row.unit), _target(row))
    for rival in row.rivals:
        yield _line(f"    {rival.name}", *_cells(rival.figures, row.unit), _ratio(row, rival))


def _line(*cells: str) -> str:
    name, *rest = cells
    return f"{name[: WIDTHS[0]]:<{WIDTHS[0]}}" + "".join(
        f"{cell:>{width}}" for cell, width in zip(rest, WIDTHS[1:], strict=True)
    )


def _cells(found: Figures, unit: str) -> tuple[str, str, str]:
    return str(found.n), f"{_short(found.p50)} {unit}", f"{_short(found.p99)} {unit}"


def _short(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if value >= 100 or value < 0.1 else f"{value:.{1 if value >= 10 else 2}f}"


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    sign = "≥" if row.higher else "≤"
    return f"{sign} {_short(row.target)} {'ok' if row.met else 'MISSED'}"


def _ratio(row: Row, rival: Rival) -> str:
    return f"{_short(rival.figures.p50 / row.figures.p50)} x ours"


def as_json(rows: Sequence[Row]) -> str:
    """Return every row as JSON text."""
    return json.dumps([_body(row) for row in rows], indent=1, ensure_ascii=False) + "\n"


def _body(row: Row) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": row.name.strip(),
        "unit": row.unit,
        "n": row.figures.n,
        "p50": row.figures.p50,
        "p99": row.figures.p99,
        "target": row.target,
        "rivals": [{"name": rival.name, "p50": rival.figures.p50, "p99": rival.figures.p99} for rival in row.rivals],
    }
    if row.target_p99 is not None:
        body["target_p99"] = row.target_p99
    if row.higher:
        body["better"] = "higher"
    return body
