"""A throw-away ordinary user of this machine, for tests that use the whole product without root.

Nothing of the machine changes: every process of the user starts in a mount namespace of its own, in which tables of
accounts that name the user lie over the machine's, and ends below a process that gave up root for good.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bascule
from bascule.host import gateway_view
from bascule.host.split import needed_paths
from bascule.linux.calls import CLONE_NEWUSER, unshare

SOURCE = str(Path(bascule.__file__).resolve().parents[1])
BASCULE = str(Path(sys.executable).with_name("bascule"))
NAME = "throwaway"
OTHER_GROUP = 27
"""A group the user is in besides its own; no box may be."""


@dataclass(frozen=True)
class Person:
    """The user: its own directory, uid, and the first of its subordinate ids (0 for none)."""

    folder: Path
    uid: int
    first: int
    bots: str = "bots"

    @property
    def home(self) -> Path:
        """Where its agents live."""
        return self.folder / self.bots

    def beside(self, bots: str) -> Person:
        """The same user with another home."""
        return replace(self, bots=bots)

    def _command(self, words: tuple[str, ...], *, namespaces: bool) -> tuple[list[str], dict[str, str]]:
        mode = "namespaces" if namespaces else "none"
        command = [sys.executable, "-P", str(Path(__file__).resolve()), mode, str(self.folder), str(self.uid), *words]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONPATH": SOURCE, "COLUMNS": "300"}
        return command, {**environment, "TERM": "dumb"}

    def run(self, *words: str, namespaces: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command as the user would from a shell; without ``namespaces`` the machine forbids user namespaces."""
        command, environment = self._command(words, namespaces=namespaces)
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=environment, stdin=subprocess.DEVNULL
        )

    def typed(self, text: str, *words: str) -> str:
        """Run one verb on a terminal, type ``text``, and return what the terminal showed."""
        command, environment = self._command((BASCULE, "--home", str(self.home), *words), namespaces=True)
        ours, theirs = os.openpty()
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as running:
            os.close(theirs)
            os.write(ours, text.encode())
            shown = b""
            with suppress(OSError):  # what reading a terminal gives that nobody holds any more
                while part := os.read(ours, 4096):
                    shown += part
            running.wait(60)
        os.close(ours)
        return shown.decode("utf-8", "replace")

    def verb(self, *words: str, namespaces: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one ``bascule`` verb."""
        return self.run(BASCULE, "--home", str(self.home), *words, namespaces=namespaces)

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


def until(done: Callable[[], bool]) -> bool:
    """Wait for what the kernel or another process is about to do; False if it does not within a good while.

    The while is long because a busy machine may need it, and costs nothing where what is waited for comes about.
    """
    end = time.monotonic() + 60
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


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


def _forbid_namespaces() -> None:
    """Go into a user namespace like the machine itself, but for one setting that forbids any more of them."""
    (waits, go), parent = os.pipe(), os.getpid()
    if (child := os.fork()) == 0:
        os.read(waits, 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{parent}/{name}").write_text("0 0 4294967295")
        os._exit(0)
    unshare(CLONE_NEWUSER)
    os.write(go, b"g")
    os.waitpid(child, 0)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def _become(mode: str, folder: Path, uid: int, words: list[str]) -> None:
    """The child: put the account over the machine's tables, become it for good, and be what was asked for."""
    gateway_view.enter((*needed_paths(str(folder), SOURCE), str(folder / "etc")), uid)
    for table in (folder / "etc").iterdir():
        if not Path("/etc", table.name).exists():
            raise SystemExit(f"/etc/{table.name} is missing on this machine")
        subprocess.run(["/usr/bin/mount", "--bind", str(table), f"/etc/{table.name}"], check=True)
    if mode == "none":
        _forbid_namespaces()
    os.setgroups([uid, OTHER_GROUP])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.umask(0o022)
    os.chdir(folder)
    os.execv(words[0], words)


if __name__ == "__main__":
    _become(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
