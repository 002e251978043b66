"""A person at a real (pseudo-)terminal in front of the program."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from tests.cli.program import command, environment


class Terminal:
    """A person at a terminal: sees what is shown, types when they have seen it."""

    def __init__(self, home: Path, *words: str) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        python, flag, program, *rest = command(*words)
        owned = f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {program}"
        self.child = subprocess.Popen(
            [python, flag, owned, *rest],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(home),
            start_new_session=True,
        )
        os.close(theirs)
        self.screen = ours
        self.seen = ""
        self.shown = 0

    def until(self, text: str) -> str:
        """Wait until a text is shown; return everything new up to its end."""
        deadline = time.monotonic() + 30
        while (found := self.seen.find(text, self.shown)) < 0:
            if not select.select([self.screen], [], [], deadline - time.monotonic())[0]:
                pytest.fail(f"{text!r} was not shown, only {self.seen[self.shown :]!r}")
            try:
                self.seen += os.read(self.screen, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
            except OSError:
                pytest.fail(f"the program ended before it showed {text!r}: {self.seen[self.shown :]!r}")
        found += len(text)
        new, self.shown = self.seen[self.shown : found], found
        return new

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def end(self) -> int:
        status = self.child.wait(30)
        os.close(self.screen)
        return status
