"""How a file worker is started: the argument vector, nothing else.

Stops: the worker picking up modules, environment or site files from anywhere but the two places it is given (``-I``
isolated, ``-S`` no site packages). Does not stop: a wrong Python; the backend chooses and mounts that.
"""

from __future__ import annotations

_START = (
    "import sys; sys.path.append(sys.argv[1]); from bascule.sandboxes.worker.main import main; main(int(sys.argv[2]))"
)

_OPTIONS = ("-I", "-S", "-B", "-X", "utf8", "-X", "no_debug_ranges")


def start_argv(python: str, package_root: str, fd: int) -> tuple[str, ...]:
    """Return the words that start a worker.

    Args:
        python: path of the interpreter, as seen in the box.
        package_root: directory that holds ``bascule/sandboxes/worker``, as seen in the box.
        fd: inherited descriptor of the worker's end of the socket pair.
    """
    return (python, *_OPTIONS, "-c", _START, package_root, str(fd))
