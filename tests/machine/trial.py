"""What an operator does with an installation, on a whole machine of its own, and what must hold; run there as root.

``python3 -m tests.machine.trial PART …``: each part prints a line for each thing that must hold, ``ok`` or ``FAIL``, with
what was seen. Standard library only: the machine has the product and Debian's packages. Started by ``scripts/machine``.
"""

from __future__ import annotations

import http.server
import os
import pwd
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

from tests.machine.seen import (
    AGENTS,
    BASCULE,
    CPUS,
    FORK,
    HERE,
    HOME,
    MEMORY,
    PATIENCE,
    PIDS,
    READ,
    SCRIPTS,
    UNIT,
    WORST_SCORE,
    WRITE,
    agents_processes,
    calls,
    check,
    containers,
    failures,
    groups,
    kept,
    listing,
    page,
    program,
    run,
    say,
    verb,
    wait_for,
)

LIMITS = (f"memory limit {MEMORY} bytes, pids limit {PIDS}, processors {CPUS / 1000:g}", f"processors {CPUS / 1000:g}")
"""What a probe says of a box of bubblewrap's, and of a container, which has some more for what we run in it."""


IMAGE = "bascule-box:bookworm"


class Pages(http.server.BaseHTTPRequestHandler):
    """A server on loopback that policy names, and one that it does not."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(f"{self.server.server_address[1]}{self.path}")
        body = b"<html><body><p>a page of pages.test</p></body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def part_facts() -> None:
    """What machine this is."""
    check("kernel", True, os.uname().release)
    check("Debian", True, Path("/etc/debian_version").read_text())
    check("systemd", True, run("systemctl", "--version").stdout.splitlines()[0])
    check("version 2 of control groups alone", "cgroup2 /sys/fs/cgroup " in Path("/proc/mounts").read_text())
    check(
        "Docker",
        True,
        run("docker", "info", "--format", "{{.ServerVersion}} {{.CgroupDriver}} {{.SecurityOptions}}").stdout,
    )


def part_install() -> None:
    """Dry run, installation, a second one, the image, what verifies it."""
    before = listing()
    kept(before=before)
    said = verb("host", "install", "--from", str(HERE / "team"), "--operator", "pat", "--dry-run")
    check("a dry run says it all", said.returncode == 0 and "account bascule" in said.stdout, said.stdout[-200:])
    check("and changes nothing", listing() == before)
    said = verb("host", "install", "--from", str(HERE / "team"), "--operator", "pat", "--yes")
    check("host install", said.returncode == 0, said.stdout[-200:])
    again = verb("host", "install", "--yes", "--operator", "pat")
    check("a second one changes nothing", again.returncode == 0 and "already so" in again.stdout, again.stdout[-200:])
    for words in (("config", "check"), ("config", "verify")):
        said = verb(*words)
        check(" ".join(words), said.returncode == 0, said.stdout[-300:])
    said = verb("host", "check")
    check("host check answers", said.returncode in (0, 1), said.stdout[-600:])
    said = run("systemd-analyze", "security", "--no-pager", "bascule.service")
    score = re.findall(r"Overall exposure level for bascule.service: ([0-9.]+)", said.stdout)
    check("the unit's score", score and float(score[0]) <= WORST_SCORE, score)
    said = run("systemd-analyze", "verify", "/etc/systemd/system/bascule.service")
    check("systemd finds no fault with the unit", said.returncode == 0 and "bascule" not in said.stdout, said.stdout)
    part_image()


def part_image() -> None:
    """The image of the agents in Docker, brought along: there is no network here to build it from. It takes a while."""
    run("systemd-run", "--unit=image", "docker", "import", "/var/tmp/box.tar", IMAGE)


def record_image() -> None:
    """Wait for the image and write down what it is, as ``sandbox build`` would."""
    words = ("docker", "image", "inspect", "--format", "{{.Id}}", IMAGE)
    check("the image is there", wait_for(lambda: run(*words).returncode == 0, 4 * PATIENCE))
    code = (
        "import json, sys; from bascule.sandboxes.docker.record import Image, write;"
        "print(json.dumps(write({sys.argv[1]: Image(sys.argv[2], 'brought along')})))"
    )
    text = run("/opt/bascule/bin/python3", "-c", code, IMAGE, run(*words).stdout.strip()).stdout
    (HOME / "images.json").write_text(text)
    (HOME / "images.json").chmod(0o644)


def put_scripts() -> None:
    for agent in AGENTS:
        folder = HOME / "agents" / agent / "tools"
        for name, body in SCRIPTS.items():
            (folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name).chmod(0o755)


def part_start() -> None:
    """The unit starts, is enabled, answers its operators and nobody else, and sits where it should."""
    said = run("systemctl", "enable", "--now", "bascule")
    check("systemctl enable --now", said.returncode == 0, said.stdout + tail())
    part_seat()
    check("status as root", verb("status").returncode == 0)
    said = run("runuser", "-u", "pat", "--", BASCULE, "status")
    check("status as an operator", said.returncode == 0, said.stdout[:200])
    said = run("runuser", "-u", "nobody", "--", BASCULE, "status")
    check("nobody else is answered", said.returncode != 0, said.stdout[:200])


def tail() -> str:
    log = Path("/var/log/bascule/gateway.log")
    return " LOG " + log.read_text()[-1500:] if log.exists() else ""


def part_seat() -> None:
    """Gateway and warden sit below the unit's group, boxes beside them, and nothing of ours is elsewhere."""
    sitting = (UNIT / "bascule" / "cgroup.procs").read_text().split() if (UNIT / "bascule").is_dir() else []
    check("gateway and warden sit in their seat", len(sitting) >= 3, sitting)
    check("and in no group that has groups below", (UNIT / "cgroup.procs").read_text() == "")
    given = (UNIT / "cgroup.subtree_control").read_text().split()
    check("the unit hands its controllers down", {"memory", "pids", "cpu"} <= set(given), given)
    check("no group of ours is elsewhere", all(str(UNIT) in name for name in groups()), groups())


def part_boxes() -> None:
    """Every backend under the unit: self-test, files, programs, accounts, limits."""
    put_scripts()
    controls()
    for agent in AGENTS:
        if agent == "boxed":
            record_image()
        said = verb("sandbox", "probe", agent)
        check(f"{agent}: probe", said.returncode == 0 and "sandbox." not in said.stdout, said.stdout)
        check(f"{agent}: limits in force", re.search(LIMITS[agent == "boxed"], said.stdout))
        wanted = [WRITE, READ, *map(program, ("ls workspace", "id", "tools/hog.sh", "tools/fork.sh", "tools/busy.sh"))]
        wrote, read, listed, account, *bombs = calls(agent, *wanted)
        check(f"{agent}: write and read", "by a worker" in read, f"{wrote} {read}")
        check(f"{agent}: a program", "a.md" in listed, listed)
        check(f"{agent}: under an account of its own", re.search(r"uid=19\d{8}", account), account)
        held(agent, *bombs)
    for words in (("sandbox", "list"), ("sandbox", "explain", "files")):
        said = verb(*words)
        check(" ".join(words), said.returncode == 0, said.stdout[:500])


def controls() -> None:
    """Without the walls each of the three gets what it wants."""
    said = run("sh", "-c", SCRIPTS["hog.sh"])
    check("without walls memory is held", "held 6 killed 0" in said.stdout, said.stdout)
    said = run("sh", "-c", FORK.replace("sleep 20", "sleep 1"))
    check("without walls processes are started", "started 200" in said.stdout, said.stdout[-40:])
    said = run("sh", "-c", SCRIPTS["busy.sh"])
    check("without walls a processor is kept busy", share(said.stdout) > CPUS / 1000 + 0.15, said.stdout)


def share(text: str) -> float:
    found = re.findall(r"share ([0-9.]+)", text)
    return float(found[0]) if found else -1.0


def held(agent: str, hog: str, fork: str, busy: str) -> None:
    """The three that want more than there is."""
    found = re.findall(r"held (\d) killed (\d)", hog)
    check(f"{agent}: memory is limited", int(found[0][1]) >= 2 if found else "exit=137" in hog, hog)
    started = [int(number) for number in re.findall(r"started (\d+)", fork)]
    check(f"{agent}: processes are limited", 0 < max(started, default=0) <= PIDS + 16, fork[-160:])
    check(f"{agent}: processors are limited", 0 < share(busy) <= CPUS / 1000 + 0.12, busy)


def part_egress() -> None:
    """The way out leads to the server that policy names, and to no other."""
    for port in (8888, 8889):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Pages)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    for agent in ("web", "boxed"):
        wanted = map(program, ("tools/fetch.sh pages.test:8888", "tools/fetch.sh pages.test:8889"))
        page_, fetched, refused = calls(agent, page("http://pages.test:8888/by-the-gateway"), *wanted)
        check(f"{agent}: web_fetch", "a page of pages.test" in page_, page_)
        check(f"{agent}: a program fetches", "a page of pages.test" in fetched, fetched)
        check(f"{agent}: no other port", "a page" not in refused, refused)
    [refused] = calls("files", page("http://pages.test:8888/by-the-gateway"))
    check("files: has no network", "network_none" in refused, refused)
    check(
        "requests counted",
        len(Pages.seen) == 4 and not [one for one in Pages.seen if "8889" in one],
        Pages.seen,
    )


def part_crashes() -> None:
    """A killed gateway and a killed engine come back by themselves, and leave nothing of before."""
    long = subprocess.Popen(
        [BASCULE, "call", "files", "exec", '{"command": "tools/long.sh"}'], stdout=subprocess.DEVNULL
    )
    check("a long call runs", wait_for(lambda: [one for one in agents_processes() if "600" in one]))
    main = run("systemctl", "show", "--value", "--property=MainPID", "bascule").stdout.strip()
    run("kill", "-9", main)
    check(
        "what it ran ended with the gateway", wait_for(lambda: not [one for one in agents_processes() if "600" in one])
    )
    check(
        "systemd starts it again",
        wait_for(lambda: run("systemctl", "is-active", "bascule").stdout == "active\n"),
        tail(),
    )
    long.wait(PATIENCE)
    part_seat()
    for agent in ("files", "boxed"):
        [said] = calls(agent, READ)
        check(f"{agent}: works after the gateway was killed", "by a worker" in said, said)
    check("no container of before is left", wait_for(lambda: len(containers()) == 1), containers())
    kill_the_engine()


def kill_the_engine() -> None:
    """Agents elsewhere go on, and those in containers once it is back."""
    run("systemctl", "kill", "--signal=KILL", "docker")
    [said] = calls("files", READ)
    check("files: works without the engine", "by a worker" in said, said)
    [said] = calls("boxed", program("ls workspace"))
    check("boxed: says why not, or is served anew", "a.md" in said or "docker" in said or "box" in said, said)
    check("the engine is back", wait_for(lambda: run("docker", "info").returncode == 0))
    check("boxed: works again by itself", wait_for(lambda: "a.md" in calls("boxed", program("ls workspace"))[0]))


def part_after_boot() -> None:
    """After a reboot the unit is up and works."""
    check(
        "the unit is up after a boot",
        wait_for(lambda: run("systemctl", "is-active", "bascule").stdout == "active\n"),
        tail(),
    )
    part_seat()
    for agent in ("files", "web", "boxed"):
        [said] = calls(agent, program("ls workspace"))
        check(f"{agent}: works after a boot", "a.md" in said, said)


def part_stop() -> None:
    """Stopped, nothing of it runs, is mounted or stands in a group."""
    said = run("systemctl", "stop", "bascule")
    check("systemctl stop", said.returncode == 0, said.stdout)
    check("no process is left", not agents_processes(), agents_processes())
    check("no container is left", not containers(), containers())
    check("no group is left", not groups(), groups())
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if "bascule" in line]
    check("no mount is left", not mounts, mounts)


def part_uninstall() -> None:
    """Undone, the machine is as before."""
    said = run("systemctl", "disable", "bascule")
    said = verb("host", "uninstall", "--purge", "--yes")
    check("host uninstall", said.returncode == 0, said.stdout[-300:])
    before, after = kept()["before"], listing()
    assert isinstance(before, dict)
    differ = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    check("nothing is left", not differ, differ)


def part_rootless() -> None:
    """An ordinary user's gateway in a scope that was handed over."""
    user = pwd.getpwnam("pat")
    run("loginctl", "enable-linger", "pat")
    runtime = f"/run/user/{user.pw_uid}"
    check("the user's manager runs", wait_for(lambda: Path(runtime, "bus").exists()))
    as_pat = ("runuser", "-u", "pat", "--", "env", f"XDG_RUNTIME_DIR={runtime}", "HOME=/home/pat")
    home = Path("/home/pat/.bascule")
    shutil.copytree(HERE / "team", home)
    (home / "bascule.json5").write_text(
        (home / "bascule.json5").read_text().replace('backend: "docker"', 'backend: "bubblewrap"')
    )
    run("chown", "-R", "pat:pat", str(home))
    home.chmod(0o700)
    check(
        "the user's controllers",
        True,
        run("systemctl", "show", "-p", "DelegateControllers", f"user@{user.pw_uid}.service").stdout,
    )
    for name, scope in (("in a scope", True), ("from a plain session", False)):
        started = ("systemd-run", "--user", "--scope", "--quiet", "--property=Delegate=yes") if scope else ()
        gateway = subprocess.Popen(
            [*as_pat, *started, BASCULE, "gateway", "start", "--foreground"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        up = wait_for(lambda: run(*as_pat, BASCULE, "status").returncode == 0)
        said = run(*as_pat, BASCULE, "sandbox", "probe", "files")
        held = f"pids limit {PIDS}, processors {CPUS / 1000:g}" in said.stdout
        check(
            f"{name}: limits are {'in force' if scope else 'missing, and said so'}",
            up and (held if scope else "sandbox.cpus" in said.stdout),
            said.stdout,
        )
        run(*as_pat, BASCULE, "gateway", "stop")
        gateway.wait(PATIENCE)
        check(f"{name}: no group is left", not [one for one in groups() if "bascule-" in one], groups())


def main(parts: list[str]) -> int:
    for part in parts:
        began = time.monotonic()
        say(f"== {part}")
        try:
            globals()[f"part_{part}"]()
        except Exception as error:
            check(part, False, repr(error))
        say(f"   {part} took {time.monotonic() - began:.0f} s")
    say(f"FAILED: {', '.join(failures)}" if failures else "all as it must be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
