"""A real home with a real gateway: warden, boxes, ledger and all, spoken to as the verbs speak to it.

Tests that attack use this and nothing else; what they see is what an operator would.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.sandboxes import daemon

from bascule.cli.main import run
from bascule.control import place
from bascule.control.client import Client

MAIN = "bruba-main"
SECONDS = 120
"""How long a verb may take on a machine that is busy with other tests; what hangs hangs for longer."""


def verb(home: Path, *words: str, text: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one ``bascule`` verb as a person would."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("bascule")), "--home", str(home), *words],
        input=text, capture_output=True, text=True, timeout=SECONDS, check=False,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **environment},
    )  # fmt: skip


def made_home(home: Path) -> None:
    """Make a home with the five-agent team; in this process, for a new one would read the rules for policies anew."""
    assert run(["--home", str(home), "init", "--team", "bruba"]) == 0


class Living:
    """A home whose gateway can be started, spoken to, killed and started again."""

    def __init__(self, home: Path, backend: str = "bubblewrap") -> None:
        self.home, self.backend = home, backend
        self._client: Client | None = None

    # -- the machine's side

    def root(self, agent: str = MAIN) -> Path:
        """An agent's directory."""
        return self.home / "agents" / agent

    def accounts(self) -> Mapping[str, Any]:
        """The table of kernel uids."""
        return json.loads((self.home / "accounts.json").read_text())

    def uid(self, agent: str = MAIN) -> int:
        """An agent's kernel uid."""
        return int(self.accounts()["agents"][agent])

    def change(self, name: str, edit: Callable[[str], str]) -> None:
        """Edit a policy file as an operator would."""
        path = self.home / name
        path.write_text(edit(path.read_text()))

    def start(self, **environment: str) -> None:
        """Start the gateway and connect to it."""
        done = verb(self.home, "gateway", "start", **environment)
        assert done.returncode == 0, done.stderr + self._end_of_log()
        connection = place.dial(self.home)
        assert connection is not None
        self._client = Client(connection, lambda: None)

    def _end_of_log(self) -> str:
        log = self.home / "logs" / "gateway.log"
        return log.read_text()[-3000:] if log.exists() else ""

    def stop(self) -> None:
        """Stop the gateway, if it runs."""
        if self._client is not None:
            self._client.close()
            self._client = None
        verb(self.home, "gateway", "stop")

    @property
    def pid(self) -> int:
        """The gateway's process."""
        return int(self.client.hello["pid"])

    @property
    def client(self) -> Client:
        """The connection."""
        assert self._client is not None, "the gateway is not started"
        return self._client

    # -- the operator's side

    def call(self, tool: str, args: Mapping[str, Any] | str, agent: str = MAIN, **options: Any) -> dict[str, Any]:
        """Take one call across the gate, as if the model had asked, and return the whole report."""
        text = args if isinstance(args, str) else json.dumps(args)
        wanted = {"session": None, "dry_run": False, "wait": 0.0, "as_operator": False, **options}
        return dict(self.client.request("call", agent=agent, tool=tool, args_text=text, **wanted))

    def run(self, command: str, **options: Any) -> dict[str, Any]:
        """One command line through ``exec``."""
        return self.call("exec", {"command": command}, **options)

    def approved(self, tool: str, args: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """Ask, say yes, and make the same call again."""
        asked = self.call(tool, args, **options)
        assert asked["decision"]["effect"] == "ask", asked["decision"]
        self.client.request("approvals_approve", ref=asked["approval"]["id"])
        return self.call(tool, args, **options)

    def records(self, count: int = 1000) -> list[dict[str, Any]]:
        """The end of the ledger."""
        return list(self.client.request("ledger_tail", count=count, agent=None))


def with_egress(text: str, section: Mapping[str, Any]) -> str:
    """The team's policy with other rules for the network."""
    rules = f"\n  egress: {json.dumps(section)},\n"
    found, count = re.subn(r"\n  egress: \{.*?\n  \},\n", lambda _old: rules, text, flags=re.DOTALL)
    assert count == 1
    return found


def content(report: Mapping[str, Any]) -> str:
    """What a call brought back, empty if it did not run."""
    return report["outcome"]["content"] if report["outcome"] else ""


def effect(report: Mapping[str, Any]) -> str:
    """``allow``, ``ask`` or ``deny``."""
    return str(report["decision"]["effect"])


def codes(report: Mapping[str, Any]) -> set[str]:
    """The codes of every verdict that is not ALLOW."""
    return {verdict["code"] for verdict in report["decision"]["verdicts"] if verdict["effect"] != "allow"}


@contextmanager
def living(
    home: Path, prepare: Callable[[Living], None] = lambda _made: None, backend: str = "bubblewrap", **environment: str
) -> Iterator[Living]:
    """Make a home with the five-agent team, let ``prepare`` change it, and run its gateway until the end.

    ``backend`` is that of every agent whose own section names none.
    """
    made_home(home)
    made = Living(home, backend)
    # Many homes run side by side in the tests; those that want a port name one of their own.
    made.change(
        "bascule.json5", lambda text: text.replace("\n{\n", "\n{\n  gateway: { http: { enabled: false } },\n", 1)
    )
    if backend == "docker":
        made.change("bascule.json5", lambda text: text.replace('backend: "bubblewrap"', 'backend: "docker"', 1))
        daemon.record(home)
    prepare(made)
    made.start(**environment)
    try:
        yield made
    finally:
        made.stop()
