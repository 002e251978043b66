"""Canaries: tokens that must not turn up, files that must stay as they are, a service nobody should call.

Every token is random and made for this run, so that it can only come from where it was put.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from demo.steps import Canary, DemoError, Step

TOKENS = ("note", "recipe", "pantry", "cellar", "diary", "policy", "safe", "key", "sealed", "page", "whisper")
"""What is planted, by name; ``demo/house.py`` says where."""

KEY_VARIABLE = "DEMO_API_KEY"
"""Stands in the gateway's environment with the token ``key``, as a model's key would."""

SHELL_SECONDS = 20.0


def tokens() -> dict[str, str]:
    """Return fresh tokens by name."""
    return {name: f"canary-{secrets.token_hex(6)}" for name in TOKENS}


class Listener:
    """A service on this machine that only counts who connects."""

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._socket = socket.create_server(address)
        self._socket.settimeout(0)
        self.port = int(self._socket.getsockname()[1])

    def visits(self) -> int:
        """Return how many have connected since the last look."""
        found = 0
        with suppress(BlockingIOError):
            while True:
                self._socket.accept()[0].close()
                found += 1
        return found

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


class Watch:
    """Looks at one canary before and after a deed."""

    def __init__(self, canary: Canary, listener: Listener | None) -> None:
        """Watch ``canary``; ``listener`` is the service that it is about, None if nobody listens there."""
        self._canary = canary
        self._listener = listener
        self._before = content(Path(canary.file)) if canary.file else None
        self._visited()

    def _visited(self) -> bool:
        return self._listener is not None and self._listener.visits() > 0

    def state(self, results: Iterable[bytes]) -> str:
        """Return what the canary says now, given everything the deed brought back; empty if only the ledger knows."""
        if self._canary.reached:
            return "reached" if self._visited() else ""
        if self._canary.visits:
            return "visited" if self._visited() else "unvisited"
        if self._canary.text:
            token = self._canary.text.encode()
            return "seen" if any(token in result for result in results) else "unseen"
        after = content(Path(self._canary.file))
        if after == self._before:
            return "absent" if after is None else "untouched"
        return "made" if self._before is None else "changed"

    def restore(self) -> None:
        """Put the file back as it was."""
        path = Path(self._canary.file)
        if not self._canary.file or content(path) == self._before:
            return
        if self._before is None:
            path.unlink()
        else:
            path.write_bytes(self._before)


def content(path: Path) -> bytes | None:
    """Return a file's bytes, None if there is none; links are not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def succeeds_without(step: Step, listener: Listener | None, directory: Path, key: str) -> bool:
    """Do the step's deed by a plain shell, as the operator, and undo it; return whether the canary noticed.

    Raises:
        DemoError: the shell hangs.
    """
    watch = Watch(step.canary, listener)
    environment = {**os.environ, KEY_VARIABLE: key}
    try:
        done = subprocess.run(  # noqa: S603 -- a command line of ours, in a home made for it
            ["/bin/sh", "-c", step.without], cwd=directory, env=environment, capture_output=True, check=False,
            stdin=subprocess.DEVNULL, timeout=SHELL_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DemoError(f"{step.title}: the shell did not end") from None
    noticed = watch.state([done.stdout]) != step.state
    watch.restore()
    return noticed


def snapshot(roots: Iterable[Path]) -> dict[Path, bytes]:
    """Return every file below the roots with its bytes; the roots may be files."""
    found: dict[Path, bytes] = {}
    for root in roots:
        for path in (root, *sorted(root.rglob("*"))):
            if path.is_file() and not path.is_symlink():
                found[path] = path.read_bytes()
    return found


def differences(before: Mapping[Path, bytes], after: Mapping[Path, bytes]) -> list[Path]:
    """Return the files that were changed, made or removed in between."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
