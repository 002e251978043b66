"""T01 and T02 together: one session of hundreds of mixed calls, after which nothing was read and nothing is changed.

The calls are drawn with a fixed seed from every tool, program, spelling, link and trick of the other files, good calls
among them, so that a worker, a box or a session is used again after every kind of refusal.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.attacks.canaries import Canary, canaries, manifest, plant, spellings
from tests.attacks.probing import READING, WRITING, list_probe, list_program
from tests.living import Living, content, living

pytestmark = pytest.mark.live

CALLS = 400
SESSION = "agent:bruba-main:long"

PROGRAMS = [
    "cat {}", "cat < {}", "head {}", "tail {}", "grep -ra '' {}", "wc {}", "ls -la {}", "find {}", "du -a {}", "cp {} output/",
    "cat {} > output/copy.md", "cat memory/own.md > {}", "tee {}", "mv {} output/moved", "rm -rf {}", "tools/show.sh {}",
]  # fmt: skip
OWN = [
    "cat memory/own.md",
    "ls -la",
    "grep -r mine memory",
    "find . -type f",
    "wc -l memory/own.md",
    "cat memory/* | head -1",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Living, Mapping[str, Canary]]]:
    def prepare(made: Living) -> None:
        plant(made)
        list_probe(made)
        for path in ("/bin/cp", "/usr/bin/tee", "/bin/mv", "/bin/rm"):
            list_program(made, path, writes=True)
        script = made.root() / "tools" / "show.sh"
        script.write_text('#!/bin/sh\ncat "$@"\n')
        script.chmod(0o755)

    with living(tmp_path_factory.mktemp("long") / "home", prepare) as made, canaries(made) as known:
        yield made, known


def traps(made: Living, known: Mapping[str, Canary]) -> list[str]:
    """Links, second links, FIFOs and sockets in the agent's own directory; the names under which they lie."""
    place = made.root() / "workspace"
    names = []
    for number, canary in enumerate(known.values()):
        os.symlink(canary.path, place / f"link{number}")
        os.symlink(os.path.relpath(canary.path.parent, place), place / f"folder{number}")
        names += [f"workspace/link{number}", f"workspace/folder{number}/{canary.path.name}"]
        if canary.path.stat().st_dev == place.stat().st_dev and not canary.path.stat().st_mode & 0o004:
            os.link(canary.path, place / f"hard{number}")
            names.append(f"workspace/hard{number}")
    os.symlink("/proc/self/root", place / "top")
    os.mkfifo(place / "fifo", 0o666)
    return [*names, "workspace/top/etc/shadow", "workspace/fifo", "workspace/*", "workspace/*/*"]


def proposals(
    made: Living, known: Mapping[str, Canary], dice: random.Random
) -> Iterator[tuple[str, dict[str, object]]]:
    odd = traps(made, known)
    paths = [path for canary in known.values() for path in spellings(canary.path, made)] + odd
    hexed = [canary.word.encode().hex() for canary in known.values()]
    places = [str(canary.path).encode().hex() for canary in known.values()]
    for _ in range(CALLS):
        path, kind = dice.choice(paths), dice.randrange(10)
        if kind < 5:
            yield "exec", {"command": dice.choice(PROGRAMS).format(path), "timeout": 1}
        elif kind == 5:
            yield "read", {"path": path}
        elif kind == 6:
            yield "write", {"path": path, "content": "overwritten"}
        elif kind == 7:
            yield (
                "edit",
                {"path": path, "oldText": dice.choice([canary.word for canary in known.values()]), "newText": "x"},
            )
        elif kind == 8:
            tricks = [
                ("search", hexed),
                ("roundabout", places),
                ("climb", places),
                ("overwrite", places),
                ("processes", []),
            ]
            verb, words = dice.choice(tricks)
            yield "exec", {"command": " ".join([dice.choice([READING, WRITING]), verb, *words])}
        else:
            yield "exec", {"command": dice.choice(OWN)}


def test_hundreds_of_calls_read_no_canary_and_change_no_file_but_the_agents_own(
    house: tuple[Living, Mapping[str, Canary]],
) -> None:
    made, known = house
    made.call("write", {"path": "memory/own.md", "content": "mine\n"}, session=SESSION)
    own = [made.root() / name for name in ("workspace", "memory", "output")]
    proposed = list(proposals(made, known, random.Random(2)))
    before = manifest(made.home, *own)
    outside = {
        name: canary.path.read_bytes() for name, canary in known.items() if name not in {"database", "gateway log"}
    }
    words = [canary.word for canary in known.values()]
    effects: Counter[str] = Counter()
    for tool, args in proposed:
        report = made.call(tool, args, session=SESSION)
        told = content(report)
        # The attacker's program says which word it looked for where it found one; it finds none.
        assert not any(word in told for word in words), (tool, args, told[:500])
        effects[report["decision"]["effect"] + str(bool(report["outcome"] and report["outcome"]["ok"]))] += 1
    assert sum(effects.values()) == CALLS
    assert min(effects[kind] for kind in ("allowTrue", "allowFalse", "denyFalse", "askFalse")) >= 10, effects
    assert manifest(made.home, *own) == before
    assert {name: known[name].path.read_bytes() for name in outside} == outside
    assert b"SQLite format 3" in known["database"].path.read_bytes()[:16]
    assert not [path for path in carried_off(own) if any(word.encode() in path.read_bytes() for word in words)]
    assert content(made.call("read", {"path": "memory/own.md"}, session=SESSION)) == "mine\n"
    assert {row["body"]["agent"] for row in made.records() if row["kind"] == "started"} == {"bruba-main"}


def carried_off(own: list[Path]) -> list[Path]:
    """Plain files that lie in the agent's directories now, other than the links the test made."""
    found = [path for folder in own for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in found if path.stat().st_nlink == 1]
