"""The texts of the unit and the log's rotation, as systemd itself reads and scores them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bascule.core.errors import Malformed
from bascule.host.site import CONFIG, HOME, LOGS
from bascule.host.units import capabilities, rotation, service_unit

DOCS = Path(__file__).parents[2] / "docs" / "install.md"
KINDS = [(False, False), (True, False), (False, True), (True, True)]


def value(unit: str, key: str) -> str:
    found = re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)
    assert len(found) == 1, (key, found)
    return str(found[0])


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program is not None, "install the package systemd"
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "bascule"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(("docker", "proxy"), KINDS)
def test_systemd_reads_it_without_a_word(tmp_path: Path, program: str, *, docker: bool, proxy: bool) -> None:
    unit = tmp_path / "bascule.service"
    unit.write_text(service_unit(program, docker=docker, proxy=proxy))
    ran = analyze("verify", "--man=no", str(unit))
    assert (ran.returncode, ran.stderr.strip()) == (0, "")
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=strictly"))
    assert "strictly" in analyze("verify", "--man=no", str(unit)).stderr


@pytest.mark.parametrize(("docker", "proxy"), KINDS)
def test_its_score_is_the_one_in_the_docs(tmp_path: Path, program: str, *, docker: bool, proxy: bool) -> None:
    unit = tmp_path / "bascule.service"
    unit.write_text(service_unit(program, docker=docker, proxy=proxy))
    said = float(re.findall(r"at most \*\*([0-9.]+)\*\*", DOCS.read_text("utf-8"))[0])
    threshold = str(round(said * 10))
    assert analyze("security", "--offline=true", f"--threshold={threshold}", str(unit)).returncode == 0
    # The control: a unit that protects nothing is over it.
    unit.write_text(f"[Service]\nExecStart={program}\n")
    assert analyze("security", "--offline=true", f"--threshold={threshold}", str(unit)).returncode != 0


def test_it_may_write_where_it_works_and_nowhere_else() -> None:
    unit = service_unit("/opt/bascule/bin/bascule", docker=False, proxy=False)
    assert value(unit, "ProtectSystem") == "strict"
    assert value(unit, "ReadWritePaths") == f"{HOME} {LOGS}"
    assert CONFIG not in value(unit, "ReadWritePaths")


def test_the_engine_is_out_of_reach_unless_policy_names_it() -> None:
    without = service_unit("/opt/b", docker=False, proxy=False)
    assert "-/run/docker.sock" in value(without, "InaccessiblePaths")
    assert "InaccessiblePaths" not in service_unit("/opt/b", docker=True, proxy=False)


def test_what_boxes_need_is_not_taken_away() -> None:
    """Under systemd 252 neither the gateway nor a box starts with these: openat2 and sethostname are refused then."""
    unit = service_unit("/opt/b", docker=False, proxy=False)
    settings = {line.partition("=")[0] for line in unit.splitlines()}
    assert settings.isdisjoint({"RestrictSUIDSGID", "ProtectHostname", "ProtectControlGroups", "PrivateUsers"})
    allowed = re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE)[0].split()
    assert {"@system-service", "@mount", "sethostname", "seccomp", "landlock_restrict_self"} <= set(allowed)
    assert value(unit, "Type") == "notify"


def test_rights_are_named_for_what_needs_them() -> None:
    bare = set(capabilities(docker=False, proxy=False))
    assert "CAP_SYS_ADMIN" in bare
    assert set(capabilities(docker=True, proxy=False)) - bare == {"CAP_SYS_CHROOT", "CAP_SYS_PTRACE"}
    assert set(capabilities(docker=False, proxy=True)) - bare == {"CAP_NET_ADMIN"}
    assert bare.isdisjoint({"CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_MKNOD", "CAP_DAC_READ_SEARCH", "CAP_BPF"})


@pytest.mark.parametrize("path", ["/opt/a b/bascule", "/opt/100%/bascule", "/opt/%h/bascule"])
def test_odd_paths_stay_one_word(tmp_path: Path, path: str) -> None:
    odd = tmp_path / path.lstrip("/")
    odd.parent.mkdir(parents=True)
    odd.write_text("#!/bin/sh\n")
    odd.chmod(0o755)
    unit = tmp_path / "bascule.service"
    unit.write_text(service_unit(str(odd), docker=False, proxy=False))
    ran = analyze("verify", "--man=no", str(unit))
    assert (ran.returncode, ran.stderr.strip()) == (0, "")


@pytest.mark.parametrize(
    "path", ["relative", "/opt/a\nExecStartPre=/bin/evil", "/opt/\0", "/opt/$HOME/b", '/opt/"q"/b', "/opt/\\x20/b"]
)
def test_a_path_that_would_say_something_else_is_refused(path: str) -> None:
    with pytest.raises(Malformed) as caught:
        service_unit(path, docker=False, proxy=False)
    assert caught.value.code == "unit_path"


def test_the_log_is_rotated_without_the_gateway_noticing() -> None:
    assert f"{LOGS}/gateway.log {{" in rotation()
    assert "copytruncate" in rotation()


def test_what_it_says_is_what_systemd_takes_for_the_bounding_set(tmp_path: Path, program: str) -> None:
    unit = tmp_path / "bascule.service"
    unit.write_text(service_unit(program, docker=False, proxy=False))
    ran = analyze("security", "--offline=true", "--json=short", str(unit))
    checks = {check["name"]: check["set"] for check in json.loads(ran.stdout) if check["name"]}
    assert checks["CapabilityBoundingSet=~CAP_SYS_RAWIO"] is True
    assert checks["CapabilityBoundingSet=~CAP_NET_ADMIN"] is True
    assert checks["CapabilityBoundingSet=~CAP_SYS_ADMIN"] is False
    assert checks["NoNewPrivileges="] is True
