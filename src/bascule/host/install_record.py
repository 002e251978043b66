"""The record of an installation: what was made, written down before it is made, taken out after it is undone.

Stops: an installation that was cut short (``kill -9``, power) being beyond undoing. At every moment the record names
at least what is there of ours; what it names and is not there yet does no harm. Does not stop root from editing it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from bascule.core.canonical import read_arguments
from bascule.core.errors import Malformed
from bascule.host.install_plan import Action, Directory, from_record, key, to_record
from bascule.host.machine import BESIDE, Machine
from bascule.host.site import CONFIG, MANIFEST

NAME: Final = f"{CONFIG}/{MANIFEST}"
PARTIAL: Final = "/etc/.bascule-partial"
"""The configuration directory before its first record is in it, and after its last one is gone."""

VERSION: Final = 1


class Record:
    """The record on one machine, in the order things were made."""

    def __init__(self, machine: Machine) -> None:
        """Read it.

        Raises:
            Malformed: ``install_record``.
            BasculeError: it cannot be read.
        """
        self._machine = machine
        content = machine.read(NAME)
        self.exists = content is not None
        self._made = {} if content is None else {key(action): action for action in _parse(content)}

    @property
    def made(self) -> dict[tuple[str, ...], Action]:
        """What was made, by what it is about, in order."""
        return dict(self._made)

    def begin(self, directory: Directory) -> None:
        """Bring a first record into being, and the configuration directory with it, in one step.

        A directory that was there before is not recorded as made.

        Raises:
            Unavailable: it cannot be written.
        """
        if self.exists:
            return
        config, partial = self._machine.path(CONFIG), self._machine.path(PARTIAL)
        self.sweep()
        if not config.is_dir():
            self._made = {key(directory): directory}
            partial.mkdir(0o700)
            self._machine.reached("made the partial directory")
            self._machine.write(f"{PARTIAL}/{MANIFEST}", self._text(), 0o644)
            partial.chmod(directory.mode)
            partial.rename(config)
        else:
            self._machine.write(NAME, self._text(), 0o644)
        self.exists = True

    def add(self, action: Action) -> None:
        """Write down what is about to be made."""
        self._made[key(action)] = action
        self._machine.write(NAME, self._text(), 0o644)

    def drop(self, action: Action) -> None:
        """Take out what has been undone."""
        del self._made[key(action)]
        self._machine.write(NAME, self._text(), 0o644)

    def end(self, *, with_directory: bool) -> tuple[str, ...]:
        """Remove the record, and the directory it is in if that is ours; return what keeps the directory there."""
        config, partial = self._machine.path(CONFIG), self._machine.path(PARTIAL)
        others = {name.name for name in config.iterdir()} - {MANIFEST, MANIFEST + BESIDE}
        if with_directory and not others:
            config.rename(partial)
            self._machine.reached("moved the directory aside")
        else:
            self._machine.tidy(NAME)
            (config / MANIFEST).unlink()
        self.sweep()
        return tuple(sorted(others)) if with_directory else ()

    def sweep(self) -> None:
        """Remove what a run that was cut short left under the other name."""
        partial = self._machine.path(PARTIAL)
        for name in (MANIFEST, MANIFEST + BESIDE):
            self._machine.reached(f"sweeping {name}")
            with suppress(FileNotFoundError, NotADirectoryError):
                (partial / name).unlink()
        with suppress(FileNotFoundError, NotADirectoryError):
            os.rmdir(partial)  # noqa: PTH106 -- a link of that name is left alone

    def _text(self) -> bytes:
        body = {"version": VERSION, "made": [to_record(action) for action in self._made.values()]}
        return (json.dumps(body, indent=1) + "\n").encode("ascii")


def _parse(untrusted_content: bytes) -> Iterable[Action]:
    body = read_arguments(untrusted_content.decode("utf-8", "replace"))
    del untrusted_content
    made = body.get("made")
    if body.get("version") != VERSION or not isinstance(made, list):
        raise Malformed("install_record", f"{NAME} is not the record of an installation", "restore it from a backup")
    return [from_record(item) for item in made]
