"""Runs ``inside.py`` in an agent's program box, and outside as a control."""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tests.living import MAIN, Living, content

BACKENDS = ("bubblewrap", "docker")
"""An attack is tried in each."""

PROGRAM = Path(__file__).with_name("inside.py")
KITS = Path(__file__).with_name("kits.py")
BESIDE = Path(__file__).with_name("beside.py")
LASTING = Path(__file__).with_name("lasting.py")
OUTWARD = Path(__file__).with_name("outward.py")
PASSING = Path(__file__).with_name("passing.py")
"""What attackers bring: their tries, the static checks of escape kits, tries on whoever is beside them, comes after them, is outside, or is
another session of theirs."""

WRITING = "tools/inside-writing.py"
READING = "tools/inside.py"


def list_probe(
    made: Living, agent: str = MAIN, program: Path = PROGRAM, names: tuple[str, str] = (READING, WRITING)
) -> None:
    """Put a program into the agent's ``tools/``, once for an entry that writes and once for one that does not."""
    python, library = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib")).resolve()
    # Extension modules stand for themselves, so that the libraries they load come along.
    extensions = sorted(glob.glob(f"{library}/lib-dynload/_ctypes.*"))
    if made.backend == "docker":
        python, library = Path("/usr/bin/python3.11"), Path("/usr/lib/python3.11")
        extensions = [f"{library}/lib-dynload/_ctypes.cpython-311-{os.uname().machine}-linux-gnu.so"]
    needs = [str(python), str(library), *extensions]
    for name in names:
        path = made.root(agent) / name
        path.write_text(f"#!{python} -IS\n" + program.read_text())
        path.chmod(0o755)
        list_program(made, name, agent, needs=needs, writes=name == names[1])


def list_program(made: Living, pattern: str, agent: str = MAIN, **fields: Any) -> None:
    """Add an entry to an agent's allowlist, as its operator would."""

    def edit(text: str) -> str:
        body = json.loads(text)
        body["agents"][agent]["allowlist"].append({"pattern": pattern, "reason": "an attack", **fields})
        return json.dumps(body, indent=1)

    made.change("exec-approvals.json", edit)


def inside(made: Living, verb: str, *words: str, tool: str = READING, **options: Any) -> dict[str, str]:
    """What the program says in the box."""
    report = made.run(" ".join([tool, verb, *(word.encode().hex() for word in words)]), **options)
    assert report["outcome"] is not None, report["decision"]
    assert report["outcome"]["ok"], content(report)
    return dict(json.loads(content(report)))


def outside(verb: str, *words: str, uid: int | None = None, program: Path = PROGRAM, **options: Any) -> dict[str, str]:
    """What it says without any wall, as root or, if ``uid`` is given, under that account; ``options`` as for a process.

    A directory may be closed to the account: the program starts as root and gives its rights up itself.
    """
    words = words if uid is None else (str(uid), verb, *words)
    verb = verb if uid is None else "become"
    done = subprocess.run(
        [*options.pop("before", ()), sys.executable, "-IS", str(program), verb, *(word.encode().hex() for word in words)],
        capture_output=True, text=True, timeout=60, check=True, **options,
    )  # fmt: skip
    return dict(json.loads(done.stdout))
