"""A machine of one's own to install on: this one's programs and kernel, with an ``/etc`` that is a throw-away layer,
and empty ``/var/lib``, ``/var/log`` and ``/run``. Nothing of it outlives the process, and nothing outside sees it.

Run as a program, it is the inside: ``unshare`` starts it as the first process of its own namespaces, it makes the
machine, does what :mod:`tests.host.test_live_install` wants, and prints what it found as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bascule
from bascule.host import gateway_view
from bascule.host.install_here import texts_of_home, wish_here
from bascule.host.install_plan import UNIT, plan
from bascule.host.installer import Installer
from bascule.host.machine import Machine
from bascule.host.site import CONFIG, HOME, OPERATORS

SOURCE = str(Path(bascule.__file__).resolve().parents[1])
BASCULE = str(Path(sys.prefix) / "bin" / "bascule")
TREES = ("/etc", "/var/lib", "/var/log", "/run")
CARL, OLGA = 61_001, 61_002
MAIN = "bruba-main"

Found = dict[str, Any]


def make_machine(layer: Path) -> None:
    """Cover the trees an installation writes to; the process is in a mount namespace of its own."""
    mount("-t", "tmpfs", "none", str(layer))
    for name in ("upper", "work"):
        (layer / name).mkdir()
    mount("-t", "overlay", "overlay", "-o", f"lowerdir=/etc,upperdir={layer}/upper,workdir={layer}/work", "/etc")
    for name in TREES[1:]:
        mount("-t", "tmpfs", "-o", "mode=755", "none", name)
        Path(name, "theirs").write_text("not ours")
    for name, lines in {
        "passwd": f"carl:x:{CARL}:{CARL}::/:/bin/sh\nolga:x:{OLGA}:{OLGA}::/:/bin/sh\n",
        "group": f"carl:x:{CARL}:\nolga:x:{OLGA}:\n",
    }.items():
        append(f"/etc/{name}", lines)
    for name in ("/etc/systemd/system", "/etc/logrotate.d"):
        Path(name).mkdir(parents=True, exist_ok=True)
    for name in ("/etc/subuid", "/etc/subgid", "/etc/.pwd.lock"):
        Path(name).touch()


def mount(*words: str) -> None:
    subprocess.run(["/usr/bin/mount", *words], check=True)


def append(name: str, text: str) -> None:
    with Path(name).open("a", encoding="utf-8") as file:
        file.write(text)


def listing() -> dict[str, list[object]]:
    """Everything in the trees: mode, owners, size, content."""
    found: dict[str, list[object]] = {}
    for tree in TREES:
        for folder, folders, files in os.walk(tree):
            for name in (*folders, *files):
                path = Path(folder, name)
                seen = path.lstat()
                plain = path.is_file() and not path.is_symlink()
                said = hashlib.sha256(path.read_bytes()).hexdigest() if plain else ""
                said = os.readlink(path) if path.is_symlink() else said
                size = seen.st_size if plain else 0
                found[str(path)] = [seen.st_mode, seen.st_uid, seen.st_gid, size, said]
    return found


def difference(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def verb(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BASCULE, *words], capture_output=True, text=True, timeout=120, check=False, input=text, env=environment()
    )


def environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "NO_COLOR": "1", "COLUMNS": "200", "LANG": "C.UTF-8"}


def as_person(uid: int, *words: str) -> Found:
    """Run a verb as an ordinary account, in the groups the tables give it, with our code within its reach."""
    told, tell = os.pipe()
    if (child := os.fork()) == 0:
        os.dup2(tell, 1)
        os.dup2(tell, 2)
        gateway_view.enter((sys.prefix, sys.base_prefix, SOURCE), uid)
        become(uid)
        os.chdir("/")
        os.execve(BASCULE, ["bascule", *words], environment())
    os.close(tell)
    with os.fdopen(told, encoding="utf-8", errors="replace") as said:
        text = said.read()
    return {"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "said": text}


def become(uid: int) -> None:
    name = next(
        (line.split(":")[0] for line in Path("/etc/passwd").read_text().splitlines() if line.split(":")[2] == str(uid)),
        "",
    )
    if name:
        os.initgroups(name, uid)
    else:
        os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def tried(uid: int, pid: int | None = None) -> dict[str, str]:
    """What the system says to an account that tries to change what governs; inside a process's view if one is named."""
    program = (
        "import errno,json,os\n"
        "def said(work):\n"
        " try: work()\n"
        " except OSError as error: return errno.errorcode[error.errno]\n"
        " return 'done'\n"
        f"c={CONFIG!r};h={HOME!r}\n"
        "print(json.dumps({\n"
        "'write': said(lambda: os.close(os.open(c+'/bascule.json5', os.O_WRONLY))),\n"
        "'approvals': said(lambda: os.close(os.open(c+'/exec-approvals.json', os.O_WRONLY|os.O_APPEND))),\n"
        "'remove': said(lambda: os.unlink(c+'/exec-approvals.json')),\n"
        "'create': said(lambda: os.close(os.open(c+'/more', os.O_WRONLY|os.O_CREAT))),\n"
        "'rename': said(lambda: os.rename(h+'/agents', h+'/old')),\n"
        "'accounts': said(lambda: os.close(os.open(h+'/accounts.json', os.O_WRONLY))),\n"
        "'read': said(lambda: os.close(os.open(c+'/bascule.json5', os.O_RDONLY))),\n"
        "}))"
    )
    account = ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    inside = [] if pid is None else ["/usr/bin/nsenter", f"--target={pid}", "--mount"]
    python = [sys.executable, "-I", "-S"] if pid is not None or uid == 0 else ["/usr/bin/python3", "-I", "-S"]
    ran = subprocess.run(
        [*inside, *account, *python, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd="/"
    )
    return dict(json.loads(ran.stdout))


@contextmanager
def unit_runs() -> Iterator[Found]:
    """Start what the unit would, with its bounding set, and stop it as systemd would; wait for its word meanwhile."""
    unit = dict(line.split("=", 1) for line in Path(UNIT).read_text().splitlines() if "=" in line)
    rights = ",".join("+" + name.removeprefix("CAP_").lower() for name in unit["CapabilityBoundingSet"].split())
    words = ["/usr/bin/setpriv", "--bounding-set", f"-all,{rights}", "--no-new-privs", *shlex.split(unit["ExecStart"])]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("/run/notify")
        manager.settimeout(60)
        with Path(unit["StandardOutput"].removeprefix("append:")).open("ab") as log:
            main = subprocess.Popen(
                words, stdout=log, stderr=log, env={**environment(), "NOTIFY_SOCKET": "/run/notify"}
            )
        try:
            ready = manager.recv(100).decode()
            yield {"ready": ready, "pid": main.pid}
        finally:
            main.send_signal(signal.SIGTERM)
            main.wait(60)
            Path("/run/notify").unlink()


def status_of(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def prepare_policy(layer: Path) -> Path:
    """A home with the five-agent team, to take policy and prompts from."""
    home = layer / "home"
    verb("--home", str(home), "init", "--team", "bruba")
    policy = home / "bascule.json5"
    policy.write_text(policy.read_text().replace("\n{\n", "\n{\n  gateway: { http: { enabled: false } },\n", 1))
    return home


def wait_gone(pid: int) -> bool:
    for _ in range(600):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def killed(work: Callable[[Installer], object], point: int) -> bool:
    """Install in a child that is killed at its ``point``-th boundary; False if it has fewer."""
    if (child := os.fork()) == 0:
        left = [point]

        def reached(_name: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(Installer(Machine(reached=reached)))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def whole_life(layer: Path) -> Found:
    """Install, run, try, stop, uninstall; see the test for what each part must be."""
    home = prepare_policy(layer)
    before, found = listing(), Found()
    found["dry"] = verb("host", "install", "--operator", "olga", "--from", str(home), "--dry-run").stdout
    found["dry_changed"] = difference(before, listing())
    install = ("host", "install", "--operator", "olga", "--from", str(home), "--yes")
    made = verb(*install)
    found["install"] = [made.returncode, made.stderr]
    once = listing()
    again = verb(*install)
    found["again"] = [again.returncode, again.stdout, difference(once, listing())]
    with unit_runs() as running:
        found["running"] = running
        found |= look_around()
    found["after_stop"] = as_person(OLGA, "status")
    found["uninstall"] = verb("host", "uninstall", "--yes").stdout
    found["left"] = [name for name in difference(before, listing()) if not name.startswith(HOME)]
    found["data_mode"] = oct(Path(HOME).stat().st_mode & 0o7777) if Path(HOME).exists() else ""
    found["data"] = sorted(os.listdir(HOME)) if Path(HOME).exists() else []
    return found


def look_around() -> Found:
    """What different accounts can do while it runs."""
    found = Found()
    found["root"] = verb("call", MAIN, "write", '{"path":"workspace/a.txt","content":"hi"}').returncode
    found["olga"] = as_person(OLGA, "call", MAIN, "exec", '{"command":"ls workspace"}')
    found["carl"] = as_person(CARL, "status")
    table = json.loads(Path(HOME, "accounts.json").read_text())
    agent, gateway = int(table["agents"][MAIN]), int(table["gateway"])
    made = Path(HOME, "agents", MAIN, "workspace", "a.txt").stat()
    found["owner"] = [made.st_uid, agent]
    append("/etc/passwd", f"mallory:x:{agent}:{agent}::/:/bin/sh\n")
    group = Path("/etc/group").read_text().replace(":olga\n", ":olga,mallory,carl,bascule\n")
    Path("/etc/group").write_text(group)
    found["agent_in_group"] = as_person(agent, "status")
    found["gateway_in_group"] = as_person(gateway, "status")
    found["carl_joined"] = as_person(CARL, "status")
    Path("/etc/group").write_text(group.replace(",mallory,carl,bascule\n", "\n"))
    found["carl_left"] = as_person(CARL, "status")
    kept = [line for line in Path("/etc/passwd").read_text().splitlines(keepends=True) if "mallory" not in line]
    Path("/etc/passwd").write_text("".join(kept))
    pid = json.loads(verb("--json", "gateway", "status").stdout)["pid"]
    found["gateway"] = {key: status_of(pid)[key] for key in ("Uid", "CapPrm", "CapEff", "CapBnd", "NoNewPrivs")}
    found["tried"] = {"gateway": tried(gateway, pid), "agent": tried(agent)}
    found["control"] = {"write": os.close(os.open(f"{CONFIG}/bascule.json5", os.O_WRONLY))}
    found["modes"] = {
        name: f"{os.stat(name).st_mode & 0o7777:04o} {os.stat(name).st_uid} {os.stat(name).st_gid}"
        for name in (CONFIG, f"{CONFIG}/bascule.json5", HOME, "/run/bascule", "/run/bascule/control.sock")
    }
    found["operators"] = group.partition(f"\n{OPERATORS}:x:")[2].partition(":")[0]
    found["shown"] = subprocess.run(
        ["/usr/bin/nsenter", f"--target={pid}", "--mount", "/bin/ls", HOME], capture_output=True, text=True, check=True
    ).stdout.split()
    return found


def cut_short(layer: Path) -> Found:
    """Kill an installation at some of its boundaries; after each, uninstall by the verb and compare."""
    home = prepare_policy(layer)
    before, found = listing(), Found(points=0, left={})
    wanted = plan(wish_here(Machine(), texts_of_home(home), ("olga",)))
    point = 0
    while killed(lambda installer: installer.install(wanted), point):
        ran = verb("host", "uninstall", "--yes")
        left = difference(before, listing())
        if left or ran.returncode != 0:
            found["left"][point] = [ran.returncode, ran.stderr, left]
        found["points"] += 1
        point += 29
    installed = listing()
    found["changed"] = bool(difference(before, installed))
    ran = verb("host", "uninstall", "--yes", "--purge")
    found["end"] = [ran.returncode, difference(before, listing())]
    return found


STORIES = {"whole_life": whole_life, "cut_short": cut_short}


def outside(story: str, layer: Path) -> Found:
    """Tell a story on a machine of its own and return what it found."""
    ran = subprocess.run(
        [
            "/usr/bin/unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
            sys.executable, "-P", str(Path(__file__).resolve()), story, str(layer),
        ],
        capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "PYTHONPATH": SOURCE},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return dict(json.loads(ran.stdout))


if __name__ == "__main__":
    make_machine(Path(sys.argv[2]))
    json.dump(STORIES[sys.argv[1]](Path(sys.argv[2])), sys.stdout)
