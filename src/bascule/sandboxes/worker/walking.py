"""Expanding a pattern: directories are walked by descriptor, links are never descended into.

Stops: a pattern leading out of the roots, a huge tree holding the worker up, and a silently shortened list: too many
entries or matches, or a matching name that is not UTF-8, refuse the whole expansion. Does not hide: links, FIFOs and
the like; a name is a name, as in the shell, and whoever opens it judges what it is.
"""

from __future__ import annotations

import os

from bascule.sandboxes.worker import walls
from bascule.sandboxes.worker.match import Component, Pattern
from bascule.sandboxes.worker.refusal import RefusedError
from bascule.sandboxes.worker.roots import Roots

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK
_SKIPPED = (FileNotFoundError, NotADirectoryError, PermissionError)

START = b"/workspace"
"""Where relative patterns start."""


class Walker:
    """One expansion."""

    def __init__(self, roots: Roots, entries: int, limit: int) -> None:
        """Bounds: how many directory entries may be looked at, and how many may match."""
        self._roots = roots
        self._entries = entries
        self._limit = limit
        self._found: list[bytes] = []

    def expand(self, pattern: Pattern, start: bytes = START) -> list[bytes]:
        """Return matches sorted by bytes, relative ones with ``./`` in front; nothing matching is an empty list.

        Raises:
            RefusedError: outside the roots, too many entries or matches, or a name that is not UTF-8.
            OSError: the kernel refused the first directory.
        """
        components = list(pattern.components)
        fixed = []
        while len(components) > 1 and components[0].literal is not None:
            fixed.append(os.fsencode(components.pop(0).literal or ""))
        base = b"/" if pattern.absolute else start + b"/"
        place = (base + b"/".join(fixed)).rstrip(b"/")
        shown = (b"/" if pattern.absolute else b"./") + b"".join(name + b"/" for name in fixed)
        root, below = self._roots.locate(place)
        if not root.is_directory:
            return []
        try:
            here = walls.openat2(root.parent, b"/".join(below) or b".", _DIRECTORY)
        except _SKIPPED:
            return []
        self._walk(here, components, shown, b"/" if pattern.only_directories else b"")
        return sorted(self._found)

    def _walk(self, here: int, components: list[Component], shown: bytes, tail: bytes) -> None:
        try:
            names = self._names(here, components[0])
            for name in names:
                if len(components) > 1:
                    below = _enter(here, name)
                    if below is not None:
                        self._walk(below, components[1:], shown + name + b"/", tail)
                elif not tail or self._is_directory(here, name):
                    self._add(shown + name + tail)
        finally:
            os.close(here)

    def _names(self, here: int, component: Component) -> list[bytes]:
        if component.literal is not None:
            name = os.fsencode(component.literal)
            try:
                os.stat(name, dir_fd=here, follow_symlinks=False)
            except OSError:
                return []
            return [name]
        found = []
        with os.scandir(here) as entries:
            for entry in entries:
                self._entries -= 1
                if self._entries < 0:
                    raise RefusedError("glob_too_wide")
                if component.matches(entry.name):
                    found.append(os.fsencode(entry.name))
        return found

    def _add(self, path: bytes) -> None:
        try:
            path.decode("utf-8")
        except UnicodeDecodeError:
            raise RefusedError("glob_name_not_text") from None
        if len(self._found) >= self._limit:
            raise RefusedError("glob_too_many")
        self._found.append(path)

    @staticmethod
    def _is_directory(here: int, name: bytes) -> bool:
        below = _enter(here, name)
        if below is None:
            return False
        os.close(below)
        return True


def _enter(here: int, name: bytes) -> int | None:
    """Return a descriptor of a directory below ``here``, or None for a link, a file, or one that may not be read."""
    try:
        return walls.openat2(here, name, _DIRECTORY)
    except _SKIPPED:
        return None
    except OSError as error:
        if error.errno == _ELOOP:
            return None
        raise


_ELOOP = 40
