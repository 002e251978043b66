"""T18: the machine's own tables give an agent's account rights. Each grant is first used, with no wall, under that very account.

The home lives in a mount namespace in which a copy of ``/etc`` lies over the machine's, so that the grants are real for
all that runs in it, and for nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.living import MAIN, Living, codes, effect, living

from bascule.control import place
from bascule.control.client import Client

pytestmark = pytest.mark.live

GRANTED, SPARED = MAIN, "bruba-guru"
OVER_ETC = 'mount --bind "$0" /etc && exec "$@"'
CONNECT = (
    "import os, socket, sys\n"
    "os.initgroups('granted', 1)\nos.setresgid(1, 1, 1)\nos.setresuid(*[int(sys.argv[1])] * 3)\n"
    "socket.socket(socket.AF_UNIX).connect(sys.argv[2])\nprint('reached', os.geteuid())\n"
)


class Etc(Living):
    """A home below a copy of ``/etc``."""

    etc: Path

    def within(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run words where the copy lies over the machine's."""
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", OVER_ETC, str(self.etc), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def start(self, **environment: str) -> None:
        """Start the gateway there."""
        program = str(Path(sys.executable).with_name("bascule"))
        done = self.within(program, "--home", str(self.home), "gateway", "start")
        assert done.returncode == 0, done.stderr
        connection = place.dial(self.home)
        assert connection is not None
        self._client = Client(connection, lambda: None)

    def append(self, name: str, line: str) -> None:
        """Add a row, as ``usermod`` would."""
        with (self.etc / name).open("a") as file:
            file.write(line)

    def checked(self, name: str) -> list[str]:
        """How bad a check of the machine says it is, seen from there."""
        program = str(Path(sys.executable).with_name("bascule"))
        done = self.within(program, "--home", str(self.home), "host", "check", "--quick", "--json")
        assert done.stdout, done.stderr
        return [each["severity"] for each in json.loads(done.stdout)["findings"] if each["id"] == name]

    def takes(self, agent: str) -> dict:
        """One harmless call."""
        return self.call("write", {"path": "workspace/x.md", "content": "x"}, agent=agent)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etc]:
    base = tmp_path_factory.mktemp("granted")
    shutil.copytree("/etc", base / "etc", symlinks=True)
    (base / "etc").chmod(0o755)
    (base / "etc" / "sudoers").write_text("root ALL=(ALL:ALL) ALL\n")
    with living(base / "home") as plain:
        plain.stop()
        made = Etc(plain.home)
        made.etc = base / "etc"
        made.start()
        yield made
        made.stop()


def denied_by_layer_7(report: dict, word: str) -> bool:
    said = [verdict for verdict in report["decision"]["verdicts"] if verdict["judge"] == "l7_os_permissions"]
    return [(verdict["effect"], verdict["code"]) for verdict in said] == [("deny", "not_in_force")] and (
        word in said[0]["reason"]
    )


@pytest.fixture
def engine() -> Iterator[str]:
    """A socket as an engine's is: root's and the group's."""
    folder = Path(tempfile.mkdtemp(prefix="bascule-attack-", dir="/tmp"))
    folder.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "docker.sock"))
        os.chown(folder / "docker.sock", 0, 7999)
        (folder / "docker.sock").chmod(0o660)
        listening.listen(8)
        yield str(folder / "docker.sock")
    shutil.rmtree(folder)


def test_a_group_given_while_the_gateway_runs_ends_the_agents_calls_until_it_is_taken_back(
    house: Etc, engine: str
) -> None:
    uid = house.uid(GRANTED)
    group = (house.etc / "group").read_text()
    plain = "".join(line for line in group.splitlines(keepends=True) if not line.startswith("docker:"))
    (house.etc / "group").write_text(plain)
    house.append("passwd", f"granted:x:{uid}:{uid}::/:/bin/sh\n")
    # An account with a name and no group of worth is an ordinary one.
    assert effect(house.takes(GRANTED)) == "allow"
    connect = ("python3", "-c", CONNECT, str(uid), engine)
    assert "PermissionError" in house.within(*connect).stderr

    house.append("group", "docker:x:7999:granted\n")
    assert house.within(*connect).stdout == f"reached {uid}\n"
    report = house.takes(GRANTED)
    assert denied_by_layer_7(report, "docker"), report["decision"]
    assert codes(report) == {"not_in_force"}
    assert effect(house.takes(SPARED)) == "allow"
    assert "host.account_group" in {each["code"] for each in house.client.request("status")["problems"]}
    assert house.checked("host.account_group") == ["critical"]
    probed = house.client.request("sandbox_probe", agent=GRANTED, session=None)
    assert [check["remedy"] for check in probed["checks"] if check["id"] == "os.account_group"] == [
        "run as root: gpasswd -d granted docker"
    ]
    assert not probed["ok"]

    (house.etc / "group").write_text(plain)
    assert "PermissionError" in house.within(*connect).stderr
    assert house.checked("host.account_group") == house.checked("host.gateway_rights") == []
    assert effect(house.takes(GRANTED)) == "allow"


def test_a_rule_of_sudo_that_names_the_account_is_seen_at_the_next_start(house: Etc) -> None:
    uid = house.uid(GRANTED)
    assert effect(house.takes(GRANTED)) == "allow"
    (house.etc / "sudoers.d").mkdir(exist_ok=True)
    (house.etc / "sudoers").write_text("root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n")
    (house.etc / "sudoers.d" / "extra").write_text(f"#{uid} ALL=(ALL) NOPASSWD: ALL\n")
    # An account with a name of its own would keep the gateway from starting at all.
    rows = (house.etc / "passwd").read_text().splitlines(keepends=True)
    (house.etc / "passwd").write_text("".join(row for row in rows if not row.startswith("granted:")))
    house.stop()
    house.start()
    report = house.takes(GRANTED)
    assert denied_by_layer_7(report, "/etc/sudoers.d/extra:1 (NOPASSWD)"), report["decision"]
    assert effect(house.takes(SPARED)) == "allow"
    (house.etc / "sudoers.d" / "extra").unlink()
    house.stop()
    house.start()
    assert effect(house.takes(GRANTED)) == "allow"
