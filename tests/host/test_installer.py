"""Installing below a directory that stands for the machine: what is made, what is refused, and what is left."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bascule.core.errors import NotPermitted, Unavailable
from bascule.host.install_plan import UNIT, WANTED, Wish, plan
from bascule.host.install_record import NAME
from bascule.host.installer import Installer, Left, refuse_unsafe_code
from bascule.host.machine import Machine
from bascule.host.site import CONFIG, HOME, LOGS, OPERATORS, RUN
from bascule.host.standing import State

UID, GID = 1_900_000_000, 997
POLICY = {"bascule.json5": "{}\n", "prompts/main/AGENTS.md": "be kind\n"}
BASE = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n",
    "etc/shadow": "root:*:1::::::\nann:*:1::::::\n",
    "etc/group": "root:x:0:\nann:x:1000:\nstaff:x:50:ann\n",
    "etc/gshadow": "root:*::\nann:!::\nstaff:*::ann\n",
    "etc/subuid": "ann:100000:65536\n",
    "etc/subgid": "ann:100000:65536\n",
    "etc/.pwd.lock": "",
    "etc/systemd/system/other.service": "[Unit]\n",
    "etc/logrotate.d/other": "x {}\n",
    "var/lib/other": "theirs",
    "var/log/other": "theirs",
    "run/other": "theirs",
}

Tree = dict[str, tuple[int, int, int, str]]


def wish(**changes: object) -> Wish:
    return Wish(**{
        "uid": UID, "count": 1024, "operators_gid": GID, "operators": ("ann",), "policy": POLICY,
        "unit": "[Service]\n", "rotation": "log {}\n", **changes,
    })  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in BASE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o640 if "shadow" in name else 0o644)
    return tmp_path


def tree(root: Path) -> Tree:
    """Everything below a directory: mode, owner, size and content."""
    found: Tree = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            seen = path.lstat()
            said = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else content(path)
            size = 0 if path.is_dir() else seen.st_size
            found[str(path.relative_to(root))] = (seen.st_mode, seen.st_uid, size, said)
    return found


def content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def install(root: Path, **changes: object) -> tuple[State, ...]:
    return tuple(one.state for one in Installer(Machine(root)).install(plan(wish(**changes))))


def uninstall(root: Path, *, purge: bool = False) -> tuple[Left, ...]:
    return Installer(Machine(root)).uninstall(purge=purge)


def cut_short(root: Path, work: Callable[[Installer], object], point: int) -> bool:
    """Do something in a child that is killed at its ``point``-th boundary; False if it has fewer."""
    child = os.fork()
    if child == 0:
        left = [point]

        def reached(_name: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(Installer(Machine(root, reached)))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_it_makes_what_it_said(root: Path) -> None:
    assert set(install(root)) == {State.MAKE}
    assert (
        (root / "etc/passwd").read_text().endswith(f"bascule:x:{UID}:{UID}:Bascule gateway:{HOME}:/usr/sbin/nologin\n")
    )
    assert (root / "etc/shadow").read_text().endswith("bascule:!*:::::::\n")
    assert f"{OPERATORS}:x:{GID}:ann\n" in (root / "etc/group").read_text()
    assert f"bascule-agents:{UID}:1024\n" in (root / "etc/subuid").read_text()
    assert (root / "etc/shadow").stat().st_mode & 0o777 == 0o640
    modes = {name: (root / name.lstrip("/")).stat().st_mode & 0o7777 for name in (CONFIG, HOME, LOGS, RUN)}
    assert modes == {CONFIG: 0o755, HOME: 0o700, LOGS: 0o700, RUN: 0o750}
    assert (root / UNIT.lstrip("/")).read_text() == "[Service]\n"
    assert (root / "etc/bascule/prompts/main/AGENTS.md").stat().st_mode & 0o777 == 0o644


def test_a_second_time_changes_nothing(root: Path) -> None:
    install(root)
    before = tree(root)
    assert set(install(root)) == {State.SAME}
    assert tree(root) == before


def test_undone_the_machine_is_what_it_was(root: Path) -> None:
    before = tree(root)
    install(root)
    assert tree(root) != before
    assert all(not one.why for one in uninstall(root))
    assert tree(root) == before
    assert uninstall(root) == ()


def test_tables_the_machine_did_not_have_go_again(root: Path) -> None:
    for name in ("etc/subuid", "etc/subgid"):
        (root / name).unlink()
    before = tree(root)
    install(root, tables=("/etc/subuid", "/etc/subgid"))
    assert (root / "etc/subuid").read_text() == f"bascule-agents:{UID}:1024\n"
    uninstall(root)
    assert tree(root) == before


def test_without_shadow_tables_none_are_made(root: Path) -> None:
    for name in ("etc/shadow", "etc/gshadow"):
        (root / name).unlink()
    before = tree(root)
    install(root)
    assert not (root / "etc/shadow").exists()
    assert set(install(root)) == {State.SAME}
    uninstall(root)
    assert tree(root) == before


def test_killed_anywhere_it_can_be_undone(root: Path) -> None:
    before, point = tree(root), 0
    while cut_short(root, lambda installer: installer.install(plan(wish())), point):
        uninstall(root)
        assert tree(root) == before, point
        point += 1
    assert point > 80
    uninstall(root)
    assert tree(root) == before


def test_killed_anywhere_a_second_run_completes_it(root: Path) -> None:
    before, point = tree(root), 0
    install(root)
    whole = {name: found for name, found in tree(root).items() if name != NAME.lstrip("/")}
    uninstall(root)
    while cut_short(root, lambda installer: installer.install(plan(wish())), point):
        install(root)
        assert {name: found for name, found in tree(root).items() if name != NAME.lstrip("/")} == whole, point
        uninstall(root)
        assert tree(root) == before, point
        point += 5
    assert point > 80


def test_killed_anywhere_an_undoing_can_be_gone_on_with(root: Path) -> None:
    before, point = tree(root), 0
    install(root)
    while cut_short(root, lambda installer: installer.uninstall(purge=False), point):
        uninstall(root)
        assert tree(root) == before, point
        install(root)
        point += 2
    assert point > 60


def test_what_was_there_before_stays(root: Path) -> None:
    (root / "etc/group").write_text(BASE["etc/group"] + f"{OPERATORS}:x:{GID}:bob,ann\n")
    for name in ("etc/bascule/prompts", "var/lib/bascule"):
        (root / name).mkdir(parents=True)
    (root / "etc/bascule").chmod(0o755)
    (root / "etc/bascule/prompts").chmod(0o755)
    (root / "var/lib/bascule").chmod(0o700)
    (root / "etc/bascule/bascule.json5").write_text("{ /* mine */ }")
    (root / "etc/bascule/bascule.json5").chmod(0o644)
    before = tree(root)
    states = install(root)
    assert State.KEEP in states
    assert State.SAME in states
    assert (root / "etc/bascule/bascule.json5").read_text() == "{ /* mine */ }"
    uninstall(root, purge=True)
    assert tree(root) == before


def test_a_policy_that_was_edited_stays_unless_everything_goes(root: Path) -> None:
    install(root)
    policy = root / "etc/bascule/bascule.json5"
    policy.write_text("{ edited: true }")
    assert State.KEEP in install(root)
    left = {one.why for one in uninstall(root)}
    assert left == {"", "it was changed by hand", "it holds bascule.json5"}
    assert policy.read_text() == "{ edited: true }"
    assert sorted(path.name for path in policy.parent.iterdir()) == ["bascule.json5"]
    install(root)
    assert policy.read_text() == "{ edited: true }"


def test_data_stays_unless_everything_goes(root: Path) -> None:
    before = tree(root)
    install(root)
    (root / "var/lib/bascule/state").mkdir()
    (root / "var/lib/bascule/state/bascule.db").write_text("rows")
    (root / "var/lib/bascule/accounts.json").write_text("{}")
    for name in ("var/log/bascule/gateway.log", "var/log/bascule/gateway.log.1.gz", "run/bascule/lock"):
        (root / name).write_text("")
    uninstall(root)
    kept = {name: found for name, found in tree(root).items() if not name.startswith("var/lib/bascule")}
    assert kept == before
    assert (root / "var/lib/bascule/state/bascule.db").read_text() == "rows"
    assert State.SAME in install(root)
    uninstall(root)
    assert (root / "var/lib/bascule/state/bascule.db").exists()
    install(root)
    uninstall(root, purge=True)
    assert tree(root) == before


def test_purging_follows_no_link_out_of_the_data(root: Path) -> None:
    before = tree(root)
    install(root)
    agent = root / "var/lib/bascule/agents/main/workspace"
    agent.mkdir(parents=True)
    (agent / "out").symlink_to(root / "etc")
    uninstall(root, purge=True)
    assert tree(root) == before


def test_a_unit_that_changed_is_replaced_and_still_goes(root: Path) -> None:
    before = tree(root)
    install(root)
    assert State.REPLACE in install(root, unit="[Service]\nDelegate=yes\n")
    assert (root / UNIT.lstrip("/")).read_text() == "[Service]\nDelegate=yes\n"
    uninstall(root)
    assert tree(root) == before


def test_a_unit_that_was_edited_is_neither_replaced_nor_removed(root: Path) -> None:
    install(root)
    unit = root / UNIT.lstrip("/")
    unit.write_text("[Service]\n# mine\n")
    assert State.KEEP in install(root, unit="[Service]\nDelegate=yes\n")
    uninstall(root)
    assert unit.read_text() == "[Service]\n# mine\n"


def test_what_enabling_made_goes_with_the_unit(root: Path) -> None:
    before = tree(root)
    install(root)
    link = root / WANTED.lstrip("/")
    link.parent.mkdir()
    link.symlink_to(UNIT)
    uninstall(root)
    assert not link.is_symlink()
    link.parent.rmdir()
    assert tree(root) == before


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("etc/passwd", "bascule:x:1900000000:1900000000::/var/lib/bascule:/bin/sh\n", "with the shell /bin/sh"),
        ("etc/passwd", "bascule:x:777:777::/var/lib/bascule:/usr/sbin/nologin\n", "with uid 777"),
        ("etc/passwd", "eve:x:1900000000:1::/:/bin/sh\n", "uid 1900000000 is eve's"),
        ("etc/group", "bascule:x:777:\n", "it has gid 777"),
        ("etc/group", "bascule:x:1900000000:eve\n", "it has members"),
        ("etc/group", "eve:x:1900000000:\n", "gid 1900000000 is the group eve's"),
        ("etc/subuid", "eve:1900001000:10\n", "eve has ids of that range"),
        ("etc/subgid", "bascule-agents:5:10\n", "reserves other ids"),
        ("etc/systemd/system/bascule.service", "theirs", "a file that is not ours is there"),
        ("etc/bascule", "a file", "something that is no directory is there"),
        ("run/bascule", "a file", "something that is no directory is there"),
    ],
)
def test_what_is_in_the_way_is_refused_before_anything_is_changed(root: Path, name: str, text: str, said: str) -> None:
    path = root / name
    path.write_text(BASE.get(name, "") + text)
    path.chmod(0o644)
    before = tree(root)
    with pytest.raises(NotPermitted) as caught:
        install(root)
    assert caught.value.code == "host_conflict"
    assert said in caught.value.message
    assert tree(root) == before


@pytest.mark.parametrize(("name", "mode"), [("etc/bascule", 0o777), ("var/lib/bascule", 0o755)])
def test_a_directory_that_is_too_open_is_refused(root: Path, name: str, mode: int) -> None:
    (root / name).mkdir()
    (root / name).chmod(mode)
    before = tree(root)
    with pytest.raises(NotPermitted):
        install(root)
    assert tree(root) == before


@pytest.mark.parametrize("user", ["nobody-here", "bascule"])
def test_only_a_person_becomes_an_operator(root: Path, user: str) -> None:
    (root / "etc/passwd").write_text(BASE["etc/passwd"])
    with pytest.raises(NotPermitted):
        install(root, operators=(user,))


def test_a_policy_that_is_a_link_is_refused(root: Path) -> None:
    (root / "etc/bascule").mkdir(mode=0o755)
    (root / "etc/bascule").chmod(0o755)
    (root / "etc/bascule/bascule.json5").symlink_to("/etc/hostname")
    with pytest.raises(NotPermitted):
        install(root)


def test_account_tools_at_work_are_waited_for_and_not_run_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bascule.host.machine.LOCK_SECONDS", 0.1)
    told, tell = os.pipe()
    go, release = os.pipe()
    if (child := os.fork()) == 0:
        with Machine(root).locked():
            os.write(tell, b"x")
            os.read(go, 1)
        os._exit(0)
    os.read(told, 1)
    before = tree(root)
    with pytest.raises(Unavailable) as caught:
        install(root)
    os.write(release, b"x")
    os.waitpid(child, 0)
    assert caught.value.code == "accounts_busy"
    assert tree(root) == before
    assert State.MAKE in install(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's files are safe")
def test_code_that_others_may_change_is_not_roots_to_run(tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "inner").mkdir(parents=True)
    (code / "inner" / "main.py").write_text("")
    (code / "inner" / "main.py").chmod(0o666)
    with pytest.raises(Unavailable) as caught:
        refuse_unsafe_code([str(code)])
    assert caught.value.code == "code_unsafe"
    assert "main.py can be changed" in caught.value.message
    (code / "inner" / "main.py").chmod(0o644)
    refuse_unsafe_code([str(code), "/usr/bin/env"])
    (code / "inner").chmod(0o1777)
    with pytest.raises(Unavailable):
        refuse_unsafe_code([str(code)])


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away is root's")
def test_code_of_another_account_is_not_roots_to_run(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    refuse_unsafe_code([str(code)])
    os.chown(code, 1000, 1000)
    with pytest.raises(Unavailable):
        refuse_unsafe_code([str(code / "..") + "/code"])
