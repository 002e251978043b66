"""The bare host as an ordinary user has it: named in policy, said everywhere, and never without accounts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ordinary import Person, ordinary

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("only root can become the users of these tests", allow_module_level=True)

LOUD = "NO SANDBOX FOR PROGRAMS"
MAIN = '{ id: "main", default: true, name: "Main" }'
BARE = 'sandbox: { backend: "unsafe_none" }'
SCRIPT = "#!/bin/bash\n/usr/bin/id -u; /usr/bin/head -c4 /usr/bin/uname; ls {0} {0}/state\n"


def named(person: Person, section: str) -> None:
    path = person.home / "bascule.json5"
    text = path.read_text()
    assert MAIN in text
    path.write_text(text.replace(MAIN, MAIN.replace(" }", f", {section} }}")))


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with ordinary(tmp_path_factory.mktemp("bare") / "person") as made:
        assert made.verb("init").returncode == 0
        named(made, BARE)
        script = made.home / "agents" / "main" / "tools" / "look.sh"
        script.write_text(SCRIPT.format(made.home))
        script.chmod(0o755)
        os.chown(script, made.uid, made.uid)
        started = made.verb("gateway", "start")
        assert started.returncode == 0, started.stderr
        yield made


def test_its_programs_have_the_machine_and_not_the_home(person: Person) -> None:
    report = person.call("exec", command="tools/look.sh")
    uid, _, rest = report["outcome"]["content"].partition("\n")
    assert int(uid) != 0  # as its user namespace counts; the probe says how the kernel does
    given = json.loads((person.home / "accounts.json").read_text())["agents"]["main"]
    assert f"kernel uid {given} (" in person.verb("sandbox", "probe", "main").stdout
    assert rest.startswith("\x7fELF")
    assert "No such file" in rest
    assert (person.home / "state").is_dir()


def test_everyone_who_looks_is_told(person: Person) -> None:
    status = json.loads(person.verb("status", "--json").stdout)
    assert {"sandbox.unsafe_none", "unsafe_none"} <= {problem["code"] for problem in status["problems"]}
    for words in (("status",), ("agents", "list"), ("sandbox", "explain", "main"), ("sandbox", "probe", "main")):
        assert LOUD in person.verb(*words).stdout, words
    assert LOUD in (person.home / "logs" / "gateway.log").read_text()
    checked = person.verb("config", "check")
    assert (checked.returncode, "sandbox.unsafe_none" in checked.stdout) == (1, True)


def test_without_accounts_of_their_own_it_is_refused(tmp_path: Path) -> None:
    with ordinary(tmp_path / "person", subordinate=False) as made:
        for section, code in (
            (BARE, "subuid_missing"),
            (BARE.replace(" }", ", unsafeSingleUid: true }"), "policy_schema"),
        ):
            other = made.beside(code)
            assert other.verb("init").returncode == 0
            named(other, section)
            refused = other.verb("gateway", "start")
            assert (refused.returncode != 0, f"[{code}]" in refused.stderr) == (True, True), refused.stderr
