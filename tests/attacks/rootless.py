"""A living home of an ordinary user: the same gateway and boxes, and nobody who has root."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.living import Living, living
from tests.ordinary import Person, ordinary

from bascule.control import place
from bascule.control.client import Client

MODES = ("bubblewrap", "docker", "rootless")
"""Every backend, and the one an ordinary user has."""


class Rootless(Living):
    """Its gateway is started and stopped by its user."""

    def __init__(self, person: Person) -> None:
        super().__init__(person.home, "rootless")
        self._person = person

    def start(self, **environment: str) -> None:
        """Start the gateway and connect to it."""
        assert not environment
        done = self._person.verb("gateway", "start")
        assert done.returncode == 0, done.stderr
        connection = place.dial(self.home)
        assert connection is not None
        self._client = Client(connection, lambda: None)

    def stop(self) -> None:
        """Stop the gateway, if it runs."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._person.verb("gateway", "stop")


@contextmanager
def in_mode(folder: Path, mode: str, prepare: Callable[[Living], None] = lambda _made: None) -> Iterator[Living]:
    """As :func:`tests.living.living`, in one of :data:`MODES`."""
    if mode != "rootless":
        with living(folder / "home", prepare, mode) as made:
            yield made
        return
    with ordinary(folder / "person") as person:
        done = person.verb("init", "--team", "bruba")
        assert done.returncode == 0, done.stderr
        humble = Rootless(person)
        humble.change(
            "bascule.json5", lambda text: text.replace("\n{\n", "\n{\n  gateway: { http: { enabled: false } },\n", 1)
        )
        prepare(humble)
        humble.start()
        try:
            yield humble
        finally:
            humble.stop()
