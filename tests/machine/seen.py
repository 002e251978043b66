"""Looking at the machine an installation is tried on: programs run, what is there, what is left; and what agents try."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

BASCULE = "/opt/bascule/bin/bascule"
HERE = Path(__file__).resolve().parent
HOME = Path("/var/lib/bascule")
KEPT = Path("/var/tmp/trial.json")
UNIT = Path("/sys/fs/cgroup/system.slice/bascule.service")
AGENTS = ("files", "web", "boxed")
MEMORY, PIDS, CPUS = 64 << 20, 24, 500
"""What the policy gives each box: bytes, processes, thousandths of processors."""

WORST_SCORE = 4.9
"""Of ``systemd-analyze security``, as ``docs/install.md`` says."""

PATIENCE = 240
"""Seconds for what systemd does; an emulated machine is slow."""

HOG = """
import os, time
told, tell = os.pipe(); waits, go = os.pipe(); children = set()
for _ in range(6):
    child = os.fork()
    if child == 0:
        os.close(go)
        held = b"x" * (30 << 20)
        os.write(tell, b"r"); os.read(waits, 1); os._exit(0)
    children.add(child)
os.set_blocking(told, False); ready = 0; killed = 0
while ready + killed < 6:
    try: ready += len(os.read(told, 6))
    except BlockingIOError: time.sleep(0.05)
    gone, _ = os.waitpid(-1, os.WNOHANG)
    if gone: killed += 1; children.discard(gone)
print("held", ready, "killed", killed, flush=True)
"""
BUSY = """
import time
wall, used = time.monotonic(), time.process_time()
while time.monotonic() < wall + 3: pass
print("share", round((time.process_time() - used) / (time.monotonic() - wall), 2), flush=True)
"""
FETCH = """
import os, socket, sys
from urllib.parse import urlsplit
way = urlsplit(os.environ["HTTP_PROXY"]); line = socket.create_connection((way.hostname, way.port))
host = sys.argv[1]
line.sendall(f"GET http://{host}/by-a-program HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n".encode())
print(line.makefile("rb").read().decode("latin-1")[-300:], flush=True)
"""
FORK = "n=0; while [ $n -lt 200 ]; do sleep 20 & n=$((n+1)); echo started $n; done"
SCRIPTS = {
    "hog.sh": f"exec /usr/bin/python3.11 -I -S -c '{HOG}'",
    "busy.sh": f"exec /usr/bin/python3.11 -I -S -c '{BUSY}'",
    "fetch.sh": f"exec /usr/bin/python3.11 -I -S -c '{FETCH}' \"$@\"",
    "fork.sh": FORK,
    "long.sh": "exec sleep 600",
}

failures: list[str] = []


def check(name: str, holds: object, seen: object = "") -> None:
    """Print one line."""
    if not holds:
        failures.append(name)
    text = " ".join(str(seen).split())
    say(f"{'ok  ' if holds else 'FAIL'} {name}" + (f" [{text[:600]}]" if text else ""))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(*words: str, seconds: int = PATIENCE, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program; what it prints comes back as one text."""
    return subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False, input=text,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "NO_COLOR": "1", "COLUMNS": "250", "LANG": "C.UTF-8"},
    )  # fmt: skip


def verb(*words: str) -> subprocess.CompletedProcess[str]:
    return run(BASCULE, *words)


def calls(agent: str, *wanted: tuple[str, dict[str, str]]) -> list[str]:
    """Make tool calls, one after another, by one verb; return what came of each: its content, and why not."""
    lines = [json.dumps({"agent": agent, "tool": tool, "args": arguments}) for tool, arguments in wanted]
    said = run(BASCULE, "--json", "call", "--batch", "-", seconds=4 * PATIENCE, text="\n".join(lines) + "\n")
    found = []
    for line in said.stdout.splitlines():
        try:
            report = json.loads(line)
            outcome, verdicts = report["outcome"] or {}, report["decision"]["verdicts"]
            why = [f"{one['reason']} [{one['code']}]" for one in verdicts if one["effect"] != "allow"]
            found.append(" ".join([str(outcome.get("content", "")), *why, f"exit={outcome.get('exit')}"]))
        except (ValueError, KeyError, TypeError):
            found.append(line)
    return found + [said.stdout] * (len(wanted) - len(found))


def program(command: str) -> tuple[str, dict[str, str]]:
    """A call that runs a command."""
    return "exec", {"command": command}


def page(url: str) -> tuple[str, dict[str, str]]:
    """A call that fetches a page."""
    return "web_fetch", {"url": url}


READ = ("read", {"path": "workspace/a.md"})
WRITE = ("write", {"path": "workspace/a.md", "content": "by a worker\n"})


def wait_for(what: Callable[[], object], seconds: int = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True


def kept(**values: object) -> dict[str, object]:
    """Remember values across parts and boots."""
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if values:
        known |= values
        KEPT.write_text(json.dumps(known))
    return dict(known)


def listing() -> dict[str, str]:
    """Everything an installation could leave: files, accounts, units. What the machine itself writes all the time is not."""
    quiet = re.compile(
        r"/var/lib/(docker|containerd|systemd|dpkg|apt|private|logrotate)|/var/log/(journal|private|lastlog|wtmp|btmp|apt|dpkg)"
        r"|/run/(systemd|docker|containerd|udev|log|user|mount|lock|utmp|blkid|sudo|dmeventd)|/etc/(docker|apparmor.d/cache|\.pwd\.lock|mtab|resolv)"
    )
    found = {}
    for tree in ("/etc", "/var/lib", "/var/log", "/run", "/usr/local", "/var/spool"):
        for folder, folders, files in os.walk(tree):
            folders[:] = [name for name in folders if not quiet.match(f"{folder}/{name}")]
            for name in (*folders, *files):
                path = Path(folder, name)
                if quiet.match(str(path)):
                    continue
                seen = path.lstat()
                plain = tree == "/etc" and path.is_file() and not path.is_symlink()
                said = hashlib.sha256(path.read_bytes()).hexdigest() if plain else ""
                found[str(path)] = f"{seen.st_mode:o} {seen.st_uid} {seen.st_gid} {said}"
    for table in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid"):
        found[f"table {table}"] = Path("/etc", table).read_text() if Path("/etc", table).exists() else ""
    units = run("systemctl", "list-unit-files", "--no-legend", "--no-pager")
    while units.returncode:  # a slow machine's bus times out
        units = run("systemctl", "list-unit-files", "--no-legend", "--no-pager")
    found["units"] = units.stdout
    return found


def agents_processes() -> list[str]:
    """Processes of the accounts a home gives out."""
    base = json.loads((HOME / "accounts.json").read_text())
    uids = range(int(base["base"]), int(base["base"]) + int(base["count"])) if "base" in base else range(0)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid in uids:
                found.append(f"{process.name} {(process / 'cmdline').read_bytes().decode('utf-8', 'replace')[:120]}")
        except OSError:
            continue
    return found


def groups() -> list[str]:
    """Control groups of ours, wherever they are."""
    return sorted(str(path) for path in Path("/sys/fs/cgroup").rglob("bascule*") if path.is_dir())


def containers() -> list[str]:
    return run("docker", "ps", "--all", "--quiet").stdout.split()
