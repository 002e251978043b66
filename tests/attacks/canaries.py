"""What no agent may read, each with the words that would give it away."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.living import Living

WORD = "canary-" + secrets.token_hex(8)

NAMES = [
    "another agent", "another agent's workspace", "another agent's tools", "policy", "allowlist", "a prompt", "accounts",
    "database", "ledger key", "gateway state", "gateway log", "a file next to the home", "shadow", "a file in /tmp",
    "a file in /var/tmp", "a file in a home", "root's own",
]  # fmt: skip
"""Every kind; two of them no agent may even ask for, the rest of the machine is asked about."""

ASKED = frozenset({"a file next to the home", "a file in /tmp", "a file in /var/tmp", "a file in a home", "root's own"})
"""Outside the home and no secret by its name: these ask the operator, who says nothing."""


@dataclass(frozen=True)
class Canary:
    """One file and what stands in it."""

    path: Path
    word: str


@contextmanager
def hidden(place: str) -> Iterator[Path]:
    """A readable file with the word in it, in a directory of its own below ``place``; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bascule-attack-", dir=place))
    try:
        folder.chmod(0o755)
        (folder / "secret.md").write_text(WORD)
        yield folder / "secret.md"
    finally:
        shutil.rmtree(folder)


def plant(made: Living) -> None:
    """Put the word wherever a file of the home is ours to write, before the gateway starts."""
    for name in ("diary.md", "tools/notes.sh", "workspace/secret.md"):
        path = made.root("bruba-guru") / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(WORD)
    (made.home / "prompts" / "secret.md").write_text(WORD)
    made.change("bascule.json5", lambda text: f"// {WORD}\n{text}")
    made.change("exec-approvals.json", lambda text: text.replace("list files", WORD))
    (made.home.parent / "beside.md").write_text(WORD)


@contextmanager
def canaries(made: Living) -> Iterator[dict[str, Canary]]:
    """All of them; what the machine itself keeps is named by a line of its own."""
    state, home = made.home / "state", made.home
    (state / "secret").write_text(WORD)
    for name in ("diary.md", "workspace/secret.md"):  # anew, as an operator would now that the home is prepared
        (made.root("bruba-guru") / name).unlink()
        (made.root("bruba-guru") / name).write_text(WORD)
    with hidden("/tmp") as tmp, hidden("/var/tmp") as var, hidden("/home") as person, hidden("/root") as root:
        places = {
            "another agent": made.root("bruba-guru") / "diary.md",
            "another agent's workspace": made.root("bruba-guru") / "workspace" / "secret.md",
            "another agent's tools": made.root("bruba-guru") / "tools" / "notes.sh",
            "policy": home / "bascule.json5",
            "allowlist": home / "exec-approvals.json",
            "a prompt": home / "prompts" / "secret.md",
            "gateway state": state / "secret",
            "a file next to the home": home.parent / "beside.md",
            "a file in /tmp": tmp,
            "a file in /var/tmp": var,
            "a file in a home": person,
            "root's own": root,
        }
        found = {name: Canary(path, WORD) for name, path in places.items()}
        found["accounts"] = Canary(home / "accounts.json", str(made.accounts()["gateway"]))
        found["database"] = Canary(state / "bascule.db", "SQLite format 3")
        found["ledger key"] = Canary(state / "ledger.key", (state / "ledger.key").read_text().splitlines()[1])
        found["gateway log"] = Canary(home / "logs" / "gateway.log", WORD)
        with (home / "logs" / "gateway.log").open("a") as log:
            log.write(WORD)
        found["shadow"] = Canary(Path("/etc/shadow"), Path("/etc/shadow").read_text().splitlines()[0])
        assert set(found) == set(NAMES)
        yield found


def spellings(path: Path, made: Living) -> list[str]:
    """Names of one file: plain, climbing out of the box's own directory, through ``/proc``, oddly written."""
    up = "../" * 12
    relative = os.path.relpath(path, made.root())
    return [
        str(path), f"//{path}", f"/workspace/{up}{path}", f"{up}{path}", relative, f"workspace/../{relative}",
        f"/proc/self/root{path}", f"/proc/1/root{path}", f"/proc/self/cwd/{up}{path}", f"/dev/fd/../root{path}",
    ]  # fmt: skip


RUN_TIME = ("state/bascule.db", "state/heads.jsonl", "state/lock", "logs/", "run/")
"""What a running gateway itself writes."""


def manifest(home: Path, *own: Path) -> dict[str, str]:
    """Owner, mode, kind and content of every file of a home, but what the gateway writes and the directories ``own``."""
    found = {}
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if name.startswith(RUN_TIME) or any(path.is_relative_to(folder) and path != folder for folder in own):
            continue
        seen = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        target = os.readlink(path) if path.is_symlink() else ""
        digest = hashlib.sha256(content).hexdigest()
        found[name] = f"{seen.st_mode:o} {seen.st_uid} {seen.st_gid} {target} {digest}"
    return found
