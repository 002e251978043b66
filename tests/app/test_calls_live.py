"""``sandbox.docker.seccompProfile`` from the operator's file to the kernel: read at start, shown, kept, and only there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attacks.probing import list_program
from tests.living import MAIN, Living, content, living, verb

from bascule.core.callfloor import PASSED

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("containers can be tried by root only", allow_module_level=True)

OTHER = "bruba-guru"
ASK = "stat -f -c blocks:%b workspace"
"""Asks for the file system, which is one system call that nothing else in a container makes."""


def profile(*without: str) -> str:
    names = [name for name in (*sorted(PASSED), "clone", "socket") if name not in without]
    rules = [{"names": names, "action": "SCMP_ACT_ALLOW"}]
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules})


STRICT, LOOSE = profile("statfs"), profile()


def write(home: Path, text: str) -> None:
    (home / "calls.json").write_text(text)
    (home / "calls.json").chmod(0o644)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(home: Living) -> None:
        own = f'id: "{MAIN}", sandbox: {{ docker: {{ seccompProfile: "calls.json" }} }},'
        home.change("bascule.json5", lambda text: text.replace(f'id: "{MAIN}",', own, 1))
        write(home.home, STRICT)
        for agent in (MAIN, OTHER):
            list_program(home, "/usr/bin/stat", agent)

    with living(tmp_path_factory.mktemp("calls") / "home", prepare, "docker") as home:
        yield home


def test_the_profile_holds_for_the_agent_that_has_it(made: Living) -> None:
    assert "blocks:" in content(made.run(ASK, agent=OTHER))  # the same program in the same image
    refused = made.run(ASK)
    assert (refused["outcome"]["ok"], "blocks:" in content(refused)) == (False, False)
    assert "Operation not permitted" in content(refused)


def test_it_is_shown_with_its_digest_and_line(made: Living) -> None:
    digest = hashlib.sha256(STRICT.encode()).hexdigest()
    told = verb(made.home, "sandbox", "explain", MAIN, "--json")
    [fact] = [fact for fact in json.loads(told.stdout)["facts"] if fact["id"] == "system calls"]
    assert f"{made.home}/calls.json (sha256 {digest[:12]})" in fact["value"]
    assert fact["key"].endswith("sandbox.docker.seccompProfile")
    assert fact["where"].startswith("bascule.json5:")
    verified = json.loads(verb(made.home, "config", "verify", "--json").stdout)
    assert {"id": f"{made.home}/calls.json", "what": "seccomp"}.items() <= _row(verified["files"]).items()


def _row(rows: list[dict[str, object]]) -> dict[str, object]:
    return next(row for row in rows if str(row["id"]).endswith("calls.json"))


def test_a_change_counts_from_the_next_start_and_diff_tells_it(made: Living) -> None:
    assert json.loads(verb(made.home, "config", "diff", "--json").stdout) == []
    write(made.home, LOOSE)
    [change] = json.loads(verb(made.home, "config", "diff", "--json").stdout)
    assert (change["agent"], change["subject"], change["direction"]) == (MAIN, "sandbox.docker.seccompProfile", "wider")
    verb(made.home, "sandbox", "recreate", MAIN)
    assert "blocks:" not in content(made.run(ASK))
    made.stop()
    made.start()
    assert "blocks:" in content(made.run(ASK))
    made.stop()
    write(made.home, STRICT)
    made.start()
    assert "blocks:" not in content(made.run(ASK))


def test_with_one_that_cannot_be_believed_no_gateway_starts(made: Living) -> None:
    tried = [
        ('{"defaultAction": "SCMP_ACT_ALLOW"}', 0, "seccomp_profile"),
        ("", 0, "seccomp_profile"),
        (STRICT, 4242, "policy_exposed"),
    ]
    made.stop()
    for text, owner, code in tried:
        write(made.home, text)
        os.chown(made.home / "calls.json", owner, owner)
        refused = verb(made.home, "gateway", "start", "--json")
        assert refused.returncode != 0
        assert json.loads(refused.stderr)["error"]["code"] == code
    os.chown(made.home / "calls.json", 0, 0)
    made.start()
    assert "blocks:" not in content(made.run(ASK))
