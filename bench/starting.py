"""Group ``help``: what ``bascule --help`` costs in processor time, and that no model library comes with it."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence

from bench.measure import CannotRun, Effort, Figures, Rival, Row, figures

_HELP = "import sys; sys.argv = ['bascule', '--help']; from bascule.cli.main import main; main()"

_SEEN = """
import sys
sys.argv = ["bascule", "--help"]
from bascule.cli.main import main
try:
    main()
except SystemExit:
    pass
print("\\n" + " ".join(sorted(name for name in sys.modules if "." not in name)))
"""

_TYPER = """
import sys, typer
app = typer.Typer()
@app.command()
def one(name: str) -> None: ...
@app.command()
def two(name: str) -> None: ...
sys.argv = ["two-verbs", "--help"]
app()
"""

MODEL_LIBRARIES = frozenset({"pydantic_ai", "anthropic", "openai", "httpx2", "pydantic", "xllamacpp"})


def rows(effort: Effort) -> Iterator[Row]:
    """Yield the command line's row.

    Raises:
        CannotRun: the help page imports a model library.
    """
    brought = MODEL_LIBRARIES & set(_run(_SEEN).rsplit("\n", 2)[-2].split())
    if brought:
        raise CannotRun(f"bascule --help imports {', '.join(sorted(brought))}")
    n = effort.n(20)
    rivals = (Rival("typer alone, two verbs", _cpu(_TYPER, n)), Rival("python alone", _cpu("pass", n)))
    yield Row("bascule --help, processor time", "ms", _cpu(_HELP, n), 350, rivals=rivals)


def _cpu(program: str, n: int) -> Figures:
    _run(program)
    return figures([_cpu_once(program) for _ in range(n)], 1e6)


def _cpu_once(program: str) -> float:
    before = _children()
    _run(program)
    return (_children() - before) * 1e9


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(program: str) -> str:
    command: Sequence[str] = (sys.executable, "-c", program)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- our own words
