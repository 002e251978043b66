"""A throw-away ordinary user of this machine, for tests that use the whole product without root.

Nothing of the machine changes: every process of the user starts in a mount namespace of its own, in which tables of
accounts that name the user lie over the machine's, and ends below a process that gave up root for good.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bascule
from bascule.host import gateway_view
from bascule.host.split import needed_paths

SOURCE = str(Path(bascule.__file__).resolve().parents[1])
NAME = "throwaway"
OTHER_GROUP = 27
"""A group the user is in besides its own; no box may be."""


@dataclass(frozen=True)
class Person:
    """The user: its own directory, uid, and the first of its subordinate ids (0 for none)."""

    folder: Path
    uid: int
    first: int

    @property
    def home(self) -> Path:
        """Where its agents live."""
        return self.folder / "bots"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command as the user would from a shell."""
        command = [sys.executable, "-P", str(Path(__file__).resolve()), str(self.folder), str(self.uid), *words]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONPATH": SOURCE, "COLUMNS": "300"}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    def verb(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one ``bascule`` verb."""
        return self.run(str(Path(sys.executable).with_name("bascule")), "--home", str(self.home), *words)

    def call(self, tool: str, *words: str, agent: str = "main", **args: Any) -> dict[str, Any]:
        """Make one call and return its report; further ``words`` are the verb's."""
        done = self.verb("call", *words, "--json", agent, tool, json.dumps(args))
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))

    def owns(self, uid: int) -> bool:
        """True for the user's uid and its subordinate ones."""
        return uid == self.uid or (self.first > 0 and self.first <= uid < self.first + 65_536)

    def processes(self) -> list[int]:
        """Whatever runs under one of its uids."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    uid = int(fields(int(entry.name))["Uid"].split()[0])
                except OSError:
                    continue
                found += [int(entry.name)] if self.owns(uid) else []
        return found


def fields(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@contextmanager
def ordinary(folder: Path, *, subordinate: bool = True) -> Iterator[Person]:
    """Make a user whose directory is ``folder``; its gateway is stopped at the end."""
    uid = 70_000 + os.getpid() % 20_000
    first = 800_000_000 + os.getpid() % 10_000 * 65_536 if subordinate else 0
    row = f"{NAME}:{first}:65536\n" if subordinate else ""
    (folder / "etc").mkdir(parents=True)
    texts = {
        "passwd": f"root:x:0:0::/root:/bin/sh\n{NAME}:x:{uid}:{uid}::{folder}:/bin/sh\n",
        "group": f"root:x:0:\n{NAME}:x:{uid}:\nother:x:{OTHER_GROUP}:{NAME}\n",
        "subuid": row,
        "subgid": row,
    }
    for name, text in texts.items():
        (folder / "etc" / name).write_text(text)
        (folder / "etc" / name).chmod(0o644)
    (folder / "etc").chmod(0o755)
    os.chown(folder, uid, uid)
    person = Person(folder, uid, first)
    try:
        yield person
    finally:
        if (person.home / "run").is_dir():
            person.verb("gateway", "stop")


def _become(folder: Path, uid: int, words: list[str]) -> None:
    """The child: put the account over the machine's tables, become it for good, and be what was asked for."""
    gateway_view.enter((*needed_paths(str(folder), SOURCE), str(folder / "etc")), uid)
    for table in (folder / "etc").iterdir():
        if not Path("/etc", table.name).exists():
            raise SystemExit(f"/etc/{table.name} is missing on this machine")
        subprocess.run(["/usr/bin/mount", "--bind", str(table), f"/etc/{table.name}"], check=True)
    os.setgroups([uid, OTHER_GROUP])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.umask(0o022)
    os.chdir(folder)
    os.execv(words[0], words)


if __name__ == "__main__":
    _become(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
