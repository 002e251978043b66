"""Figures are measured values, targets mean what they say, and what is written down is what was measured."""

from __future__ import annotations

import json

import pytest
from bench.__main__ import main
from bench.measure import Effort, Figures, Rival, Row, calls, figures
from bench.table import as_json, lines
from bench.workload import AGENTS, FACTS, PAIRS, allowed, cases, denied, has

from bascule.judge import effect, judge


def test_percentiles_are_nearest_rank_in_the_unit_asked_for():
    assert figures([float(each) for each in range(1000, 102_000, 1000)], 1000.0) == Figures(101, 51.0, 100.0)
    assert figures([7.0], 1.0) == Figures(1, 7.0, 7.0)


def test_the_round_with_the_lowest_median_counts_and_every_call_is_made():
    seen: list[int] = []
    found = calls(seen.append, [1, 2, 3], 30, rounds=4)
    assert (found.n, seen.count(1)) == (30, 1 + 4 * 10)


@pytest.mark.parametrize(
    ("target", "tail", "higher", "met"),
    [
        (None, None, False, None),
        (5.0, None, False, True),
        (4.0, None, False, False),
        (5.0, 8.0, False, False),
        (5.0, None, True, True),
        (6.0, None, True, False),
    ],
)
def test_a_target_is_met_by_median_and_tail(target, tail, higher, met):
    assert Row("x", "µs", Figures(9, 5.0, 9.0), target, tail, higher=higher).met is met


def test_a_row_is_written_with_its_rivals_and_nothing_that_was_not_measured():
    row = Row("  x", "µs", Figures(9, 5.0, 9.0), 6.0, rivals=(Rival("y", Figures(9, 10.0, 11.0)),))
    [body] = json.loads(as_json([row]))
    assert body == {
        "name": "x", "unit": "µs", "n": 9, "p50": 5.0, "p99": 9.0, "target": 6.0,
        "rivals": [{"name": "y", "p50": 10.0, "p99": 11.0}],
    }  # fmt: skip
    shown = list(lines(row))
    assert "≤ 6.00 ok" in shown[0]
    assert "2.00 x ours" in shown[1]


def test_the_workload_is_five_agents_twenty_tools_and_seventy_rules():
    assert (len(PAIRS), sum(len(allowed(agent)) + len(denied(agent)) for agent in AGENTS)) == (100, 70)
    assert sum(has(*pair) for pair in PAIRS) == 55


def test_the_judge_tells_the_truth_table():
    for call, rules, want in cases():
        assert (judge(call, FACTS, rules).effect, effect(call, FACTS, rules)) == (want, want)


def test_a_quick_run_measures_a_tenth():
    assert (Effort().n(1000), Effort(quick=True).n(1000), Effort(quick=True).n(10)) == (1000, 100, 5)


def test_a_group_that_does_not_exist_is_named(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["nothing"])
    assert ended.value.code == 2
    assert "'nothing'" in capsys.readouterr().err
