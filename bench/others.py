"""What the box rows are compared with, if it is here: a bare process, bubblewrap alone, a warm container.

Also the memory of processes by account, which only the parent of the measurement may read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.measure import MILLISECONDS, CannotRun, Effort, Figures, Rival, figures

TRUE = "/usr/bin/true"

_BUBBLEWRAP = (
    "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
    "--proc", "/proc", "--dev", "/dev", TRUE,
)  # fmt: skip
_ANSWER_SECONDS = 5


def programs(effort: Effort) -> tuple[Rival, ...]:
    """Time a bare process, bubblewrap alone and a container, each running the same program."""
    n = effort.n(100)
    found = [Rival("a bare process (posix_spawn, floor)", _times((TRUE,), n))]
    bubblewrap = shutil.which("bwrap")
    if bubblewrap and runs((bubblewrap, *_BUBBLEWRAP)):
        found.append(Rival("bubblewrap alone", _times((bubblewrap, *_BUBBLEWRAP), n)))
    return (*found, *container(effort))


def container(effort: Effort) -> tuple[Rival, ...]:
    """Time ``docker exec`` in a warm container, if an engine answers and has an image; nothing is fetched."""
    docker = shutil.which("docker")
    if docker is None or not runs((docker, "version")):
        return ()
    images = _said((docker, "images", "--quiet")).split()
    if not images:
        return ()
    with warm(docker, images[0]) as name:
        words = (docker, "exec", name, "true")
        return (Rival("docker exec, warm container", _times(words, effort.n(20))),) if runs(words) else ()


@contextmanager
def warm(docker: str, image: str) -> Iterator[str]:
    """Run a container in which nothing happens; yields its id."""
    options = ("--detach", "--rm", "--network", "none", "--entrypoint", "sleep")
    name = _said((docker, "run", *options, image, "600")).strip()
    try:
        yield name
    finally:
        runs((docker, "kill", name))


def _times(words: tuple[str, ...], n: int) -> Figures:
    return best(lambda: once(words), n, rounds=10)


def best(timed: Callable[[], float], n: int, *, rounds: int) -> Figures:
    """Return the round with the lowest median of what is timed by itself, in nanoseconds; milliseconds."""
    for _ in range(3):
        timed()
    found = [figures([timed() for _ in range(n)], MILLISECONDS) for _ in range(rounds)]
    return min(found, key=lambda each: each.p50)


def once(words: tuple[str, ...]) -> float:
    """Run a program to its end; return how long that took, in nanoseconds.

    Raises:
        CannotRun: it failed.
    """
    began = time.perf_counter_ns()
    pid = os.posix_spawn(words[0], words, os.environ)
    _, status = os.waitpid(pid, 0)
    took = time.perf_counter_ns() - began
    if status:
        raise CannotRun(f"{words[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return float(took)


def runs(words: Sequence[str]) -> bool:
    """True if a program can be run here and succeeds soon."""
    try:
        done = subprocess.run(words, capture_output=True, timeout=_ANSWER_SECONDS, check=False)  # noqa: S603 -- fixed words
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _said(words: Sequence[str]) -> str:
    return subprocess.run(  # noqa: S603 -- fixed words, and a name the engine gave
        words, capture_output=True, timeout=60, check=False, text=True
    ).stdout


def memory_of(uid: int) -> float:
    """Return the proportional set size of every process of an account, in bytes.

    Raises:
        CannotRun: there is none, or it may not be read.
    """
    return memory_in(processes_of(uid))


def memory_in(pids: Sequence[int]) -> float:
    """Return the proportional set size of some processes, in bytes.

    Raises:
        CannotRun: there is none, or it may not be read.
    """
    total = sum(_pss(Path("/proc", str(pid))) for pid in pids)
    if not total:
        raise CannotRun("the worker's memory cannot be read by this account")
    return float(total)


def processes_of(uid: int) -> list[int]:
    """Return every process of an account."""
    folders = (folder for folder in Path("/proc").iterdir() if folder.name.isdecimal())
    return [int(folder.name) for folder in folders if _uid(folder) == uid]


def processes_called(*words: str) -> list[int]:
    """Return every process whose command line holds all of these."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            said = (folder / "cmdline").read_bytes().decode("utf-8", "replace") if folder.name.isdecimal() else ""
        except OSError:
            continue
        found += [int(folder.name)] if said and all(word in said for word in words) else []
    return found


def _uid(folder: Path) -> int:
    try:
        lines = (folder / "status").read_text("ascii", "replace").splitlines()
    except OSError:
        return -1
    return next((int(line.split()[1]) for line in lines if line.startswith("Uid:")), -1)


def _pss(folder: Path) -> int:
    try:
        lines = (folder / "smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
