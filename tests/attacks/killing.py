"""A living home whose gateway can be killed: at a boundary of the gate, or from outside at any time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.living import SECONDS, Living, made_home
from tests.ordinary import until

from bascule.control import place
from bascule.control.client import Client
from bascule.core.errors import BasculeError
from bascule.ledger.anchor import HEADS_FILE
from bascule.ledger.keys import PUBLIC_FILE, read_public
from bascule.ledger.verify import Report, verify

ENTRY = Path(__file__).with_name("killed.py")

STARTER = (
    "import functools, bascule.app; from bascule.app.start import serve; "
    "bascule.app.serve = functools.partial(serve, module='killed'); from bascule.cli.main import main; main()"
)


def processes_of(home: Path) -> dict[int, str]:
    """Every process that has this home on its command line, or runs as one of its accounts, with its command line."""
    found = {}
    table = home / "accounts.json"
    base = Living(home).accounts()["base"] if table.exists() else None
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            uid = entry.stat().st_uid
            named = any(word == str(home).encode() or b'"home": "%s"' % str(home).encode() in word for word in words)
            mine = base is not None and base <= uid < base + 1024
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if (named or mine) and state not in {"Z", "X"}:
                found[int(entry.name)] = b" ".join(words).decode("utf-8", "replace")[:200]
    return found


class Killable(Living):
    """A home whose gateway runs the entry that kills itself on order."""

    def start(self, **environment: str) -> None:
        """Start it."""
        place_of_entry = self.home / "killing"
        place_of_entry.mkdir(exist_ok=True)
        place_of_entry.chmod(0o755)
        shutil.copy(ENTRY, place_of_entry / "killed.py")
        done = subprocess.run(
            [sys.executable, "-c", STARTER, "--home", str(self.home), "gateway", "start"],
            capture_output=True, text=True, timeout=SECONDS, check=False,
            env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(place_of_entry), **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self._client = client_of(self.home)

    def kill_at(self, boundary: str, nth: int = 1) -> None:
        """Order the gateway to die."""
        order = self.home / "killing" / "kill"
        fresh = order.with_name("kill.new")
        fresh.write_text(f"{boundary} {nth}")
        fresh.chmod(0o644)
        fresh.rename(order)

    def pardon(self) -> None:
        """Take the order back."""
        (self.home / "killing" / "kill").unlink(missing_ok=True)

    def end(self) -> None:
        """Forget the dead gateway, and wait until nothing of it is left."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self.pardon()
        assert until(lambda: processes_of(self.home) == {}), processes_of(self.home)

    def kill(self) -> None:
        """``kill -9`` from outside."""
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def dies(self, action: Callable[[], Any]) -> str:
        """Do what kills the gateway, and return the code of the error that the caller gets."""
        try:
            action()
        except BasculeError as error:
            code = error.code
        else:
            code = "survived"
        self.end()
        return code

    def verified(self) -> Report:
        """The ledger, verified offline while the gateway is dead."""
        state = self.home / "state"
        heads = state / HEADS_FILE
        lines = heads.read_text().splitlines() if heads.exists() else []
        return verify(state / "bascule.db", read_public((state / PUBLIC_FILE).read_text()), lines)

    def log(self) -> str:
        """The gateway's log."""
        return (self.home / "logs" / "gateway.log").read_text()

    def send(self, text: str, session: str | None = None, agent: str = "bruba-main") -> list[dict[str, Any]]:
        """One turn, all its events."""
        with client_of(self.home) as client:
            return [dict(event) for event in client.stream("send", None, agent=agent, text=text, session=session)]


def client_of(home: Path) -> Client:
    """One more connection."""
    connection = place.dial(home)
    assert connection is not None
    return Client(connection, lambda: None)


def size(path: Path) -> int:
    """Bytes in a file that counts effects, 0 if there is none yet."""
    return path.stat().st_size if path.exists() else 0


def revive(house: Killable, named: bool, tool: str = "") -> None:
    """Verify the dead home, start it, and see that exactly what had begun without an end is named."""
    report = house.verified()
    assert report.ok, report.problems
    said = house.log().count("is not run again")
    house.start()
    fresh = [record for record in house.records() if record["kind"] == "unknown" and record["seq"] > report.seq]
    assert len(fresh) == named
    assert house.log().count("is not run again") == said + named
    if named:
        begun = house.client.request("ledger_show", seq=fresh[0]["body"]["parent"])
        assert (begun["kind"], begun["body"]["tool"]) == ("started", tool)
        problems = house.client.request("status")["problems"]
        assert f"bascule ledger show {begun['seq']}" in problems[-1]["remedy"]
    assert house.verified().ok


def open_question(house: Killable) -> str:
    """Wait for the one open question, and return its id."""
    found: list[dict[str, Any]] = []

    def asked() -> bool:
        found[:] = house.client.request("approvals_list", everything=False)
        return bool(found)

    assert until(asked), "nothing was asked"
    assert len(found) == 1
    return str(found[0]["id"])


class Aside:
    """An action in a thread of its own; ``result`` is what it returned or raised."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.result: Any = None
        self._thread = threading.Thread(target=self._run, args=(action,), daemon=True)
        self._thread.start()

    def _run(self, action: Callable[[], Any]) -> None:
        try:
            self.result = action()
        except BasculeError as error:
            self.result = error

    def join(self) -> Any:
        """Wait for it."""
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        return self.result


@contextmanager
def killable(home: Path, prepare: Callable[[Killable], None]) -> Iterator[Killable]:
    """As :func:`tests.living.living`, with a gateway that can be killed."""
    made_home(home)
    made = Killable(home)
    prepare(made)
    made.start()
    try:
        yield made
    finally:
        made.pardon()
        made.stop()
