"""Measurements: ``python -m bench [GROUP …] [--quick]``; see ``docs/benchmarks.md`` for what each number means."""
