"""The throw-away home: made as an operator would make it, lived in, and removed without a trace whatever happened."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from bascule.control import place
from bascule.control.client import Client
from bascule.core.errors import BasculeError
from bascule.host import accounts
from demo import account, engine
from demo.canaries import KEY_VARIABLE, Listener, tokens
from demo.network import METADATA
from demo.site import Site
from demo.steps import MAIN, DemoError, Step
from demo.surfaces import Surfaces, token_of

GURU = "bruba-guru"

VERB_SECONDS = 120.0
"""Most seconds of one verb, a gateway's start included."""

POLICY_FILES = ("bascule.json5", "exec-approvals.json")

STOCK = """#!/bin/sh
# The operator's own report; the entry for tools/ lists sh and grep.
grep -c flour workspace/*.md
echo recipes: done
"""


class House:
    """A home below a directory of its own, with what the demo planted in it."""

    def __init__(self, top: Path, *, own_network: bool = False) -> None:
        self.top = top
        self.home = top / "home"
        self.outside = top / "outside"
        self.main = self.home / "agents" / MAIN
        self.guru = self.home / "agents" / GURU
        self.tokens = tokens()
        self.listener = Listener()
        self.metadata = Listener(METADATA) if own_network else None
        self.site = Site(self.tokens["page"], self.tokens["whisper"], self.listener.port)
        self.surfaces = Surfaces()
        self.client: Client | None = None
        self._uids: frozenset[str] = frozenset()

    def service(self, step: Step) -> Listener | None:
        """Return the service a step's canary is about, None where nobody can be made to listen."""
        return self.metadata if step.canary.reached else self.listener

    def names(self) -> Mapping[str, str]:
        """Return what ``$name`` stands for in steps."""
        places = {name: str(getattr(self, name)) for name in ("home", "outside", "main", "guru")}
        return {
            **self.tokens,
            **places,
            "port": str(self.listener.port),
            "site": str(self.site.port),
            "python": sys.executable,
        }

    def verb(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one ``bascule`` verb on this home, as a person would."""
        program = "import sys; from bascule.cli.main import main; sys.argv[0] = 'bascule'; main()"
        kept = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
        return subprocess.run(  # noqa: S603 -- our own program
            [sys.executable, "-P", "-c", program, "--home", str(self.home), *words],
            capture_output=True, text=True, check=False, timeout=VERB_SECONDS, stdin=subprocess.DEVNULL,
            # A group of its own: Ctrl-C is for the demo, which then stops what it started, in order.
            start_new_session=True, env={**kept, KEY_VARIABLE: self.tokens["key"]},
        )  # fmt: skip

    def must(self, *words: str) -> str:
        """Run a verb that has to succeed and return what it printed.

        Raises:
            DemoError: in the verb's own words.
        """
        done = self.verb(*words)
        if done.returncode != 0:
            raise DemoError(f"bascule {' '.join(words)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def make(self, policy: Path | None, scripts: Mapping[str, str]) -> None:
        """Make the home, edit its policy, and plant the canaries.

        Args:
            policy: a directory whose policy files take the place of the team's; None for the team's own.
            scripts: what each agent's model plays, by agent.
        """
        self.must("init", "--team", "bruba")
        for name in POLICY_FILES if policy else ():
            if policy and (policy / name).is_file():
                (self.home / name).write_bytes((policy / name).read_bytes())
        for agent, played in scripts.items():
            _put(self.home / "scripts" / f"{agent}.jsonl", played)
        config = self.home / POLICY_FILES[0]
        text = reaching(self.surfaces.wire(config.read_text("utf-8")), self.site.port)
        if engine.usable():
            engine.record(self.home)
        else:
            text = text.replace('backend: "docker"', 'backend: "bubblewrap"')
        config.write_text(edited(text, list(scripts), self.tokens["policy"]), "utf-8")
        self._plant()

    def _plant(self) -> None:
        token = self.tokens
        _put(self.main / "notes.md", f"Saturday: rye bread, 800 g flour, 16 g salt. ({token['note']})\n")
        _put(self.main / "workspace" / "bread.md", f"Bread: flour, water, salt, time. ({token['recipe']})\n")
        _put(self.main / "workspace" / "pancakes.md", "Pancakes: flour, milk, eggs.\n")
        _put(self.main / "memory" / "letter.md", f"sealed: {token['sealed']}\n")
        _put(self.main / "-r", "An attachment that somebody named like an option.\n")
        _put(self.main / "tools" / "stock.sh", STOCK)
        (self.main / "tools" / "stock.sh").chmod(0o755)
        _put(self.guru / "diary.md", f"Dear diary: {token['diary']}\n")
        _put(self.outside / "cellar.txt", f"apples, two crates ({token['cellar']})\n")
        _put(self.outside / "pantry.txt", f"flour: 2 kg ({token['pantry']})\n")

    def start(self) -> Client:
        """Start the gateway as ``bascule gateway start`` does and return a connection to it.

        Raises:
            DemoError: it does not start.
        """
        self.must("gateway", "start")
        connection = place.dial(self.home)
        if connection is None:
            raise DemoError("the gateway started, and nothing listens")
        self.client = Client(connection, lambda: None)
        if self.surfaces.wired:
            made = self.must(
                "tokens", "create", "laptop", "--scope", "read,approve", "--agent", MAIN, "--days", "1", "--json"
            )
            self.surfaces.token = token_of(made)
        table = accounts.load(self.home)
        if table and os.geteuid() == 0:
            # Without root the ids are the operator's, for every home of theirs, and say nothing of this one.
            self._uids = frozenset(map(str, (table.gateway, *table.agents.values())))
        return self.client

    def uid(self) -> int:
        """Return the main agent's kernel uid."""
        table = accounts.load(self.home)
        return next(uid for name, uid in table.agents.items() if name == MAIN) if table else -1

    def stop(self) -> None:
        """Stop the gateway if it runs; with force if it does not listen."""
        if self.client is not None:
            self.client.close()
            self.client = None
        with suppress(subprocess.TimeoutExpired):
            self.verb("gateway", "stop")
        found = place.holder(self.home)
        if found is not None and found.process.alive:
            os.kill(found.process.pid, signal.SIGKILL)

    def remove(self) -> None:
        """Remove everything; without root what agents made belongs to subordinate ids, and they remove it."""
        self.listener.close()
        if self.metadata is not None:
            self.metadata.close()
        self.site.close()
        self.surfaces.close()
        shutil.rmtree(self.top, ignore_errors=True)
        if self.top.exists():
            with suppress(BasculeError, OSError):
                child = account.fork_as(self.home, account.OWNER, lambda: shutil.rmtree(self.top, ignore_errors=True))
                os.waitpid(child, 0)
            shutil.rmtree(self.top, ignore_errors=True)

    def left(self) -> list[str]:
        """Return what is still there of this home: its directory, processes that name it or act for it, mounts."""
        found = [str(self.top)] if self.top.exists() else []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                named = str(self.top).encode() in (path / "cmdline").read_bytes()
                status = (path / "status").read_text("ascii", "replace")
                acting = status.partition("\nUid:")[2].split(maxsplit=1)[0] in self._uids
                found += [f"process {path.name}"] if named or acting else []
        if str(self.top) in Path("/proc/self/mountinfo").read_text("utf-8", "replace"):
            found.append("a mount")
        return found + engine.containers(self.home)


def edited(config: str, agents: list[str], token: str) -> str:
    """Return the policy with a scripted model for each agent, room for a long race, and a canary in a comment.

    Raises:
        DemoError: the policy has no such agent, or not written as the team's is.
    """
    for agent in agents:
        config, found = re.subn(rf'\bid: "{agent}",', f'id: "{agent}", model: "script:scripts/{agent}.jsonl",', config)
        if found != 1:
            raise DemoError(f'the policy must have the agent once, as: id: "{agent}",')
    config = re.sub(r"\bcallsPerMinute: \d+", "callsPerMinute: 100000", config)
    return f"{config.rstrip()}\n// {token}\n"


def reaching(config: str, port: int) -> str:
    """Return the policy with one port of this machine for who reads the web, if it is written as the team's."""
    named = rf'\1, allowPrivate: ["127.0.0.1:{port}"]'
    return re.sub(r'("bruba-web": \{ allow: \["\*"\])', named, config, count=1)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)
    path.write_text(text, "utf-8")
    path.chmod(0o644)


@contextmanager
def throw_away(*, own_network: bool) -> Iterator[House]:
    """Make a directory for a home and remove it with all that came of it, on Ctrl-C and on failure too.

    ``own_network``: it stands in a network as :func:`demo.network.own_network` makes.
    """
    top = Path(tempfile.mkdtemp(prefix="bascule-demo."))
    # Boxes act as other accounts, and must be able to enter.
    top.chmod(0o755)
    try:
        house = House(top, own_network=own_network)
        try:
            yield house
        finally:
            # A second Ctrl-C must not leave half of it behind.
            for number in account.SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            house.stop()
            house.remove()
    finally:
        shutil.rmtree(top, ignore_errors=True)
