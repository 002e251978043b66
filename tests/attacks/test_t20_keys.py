"""T20: model keys reach the model, the ledger, a log or a command line.

The gateway is started with keys in its environment. What reads its environment sees them: without the wall, by root,
they are there to be found.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.living import MAIN, Living, content, effect, living, verb

pytestmark = pytest.mark.live

KEY = "sk-ant-canary-" + secrets.token_hex(16)
OTHER = "sk-canary-" + secrets.token_hex(16)
PEEK = '#!/bin/sh\neval "$*"\n'
FOUND = (KEY.encode(), OTHER.encode())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        script = made.root() / "tools" / "peek.sh"
        script.write_text(PEEK)
        script.chmod(0o755)
        own = made.root() / "workspace"
        (own / "leak.md").write_text(f"before {KEY} between {OTHER} after {KEY}{KEY}\n")

    with living(tmp_path_factory.mktemp("t20") / "home", prepare, ANTHROPIC_API_KEY=KEY, OPENAI_API_KEY=OTHER) as made:
        made.run("cat workspace/leak.md")
        verb(made.home, "call", MAIN, "exec", '{"command": "ls"}')
        yield made


def leaks(found: bytes) -> bool:
    return any(key in found for key in FOUND)


def processes() -> Iterator[Path]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            yield entry


def test_the_keys_are_in_the_gateways_environment_and_in_no_command_line(house: Living) -> None:
    assert leaks(Path(f"/proc/{house.pid}/environ").read_bytes())
    for entry in processes():
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        assert not leaks(line)


def test_no_process_of_an_agent_or_of_the_warden_has_them(house: Living) -> None:
    uids = {house.uid(agent) for agent in house.accounts()["agents"]}
    seen = 0
    for entry in processes():
        try:
            line, uid = (entry / "cmdline").read_bytes(), entry.stat().st_uid
            if uid not in uids and (b"warden" not in line or str(house.home).encode() not in line):
                continue
            environ = (entry / "environ").read_bytes()
        except OSError:
            continue
        seen += 1
        assert not leaks(environ)
    assert seen >= 2


def test_another_account_cannot_read_the_gateways_environment(house: Living) -> None:
    for uid in (house.uid(), house.uid("bruba-web")):
        done = subprocess.run(
            ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "cat", f"/proc/{house.pid}/environ"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert not leaks(done.stdout)


@pytest.mark.parametrize(
    "command",
    [
        "tools/peek.sh 'cat /proc/*/environ'",
        "tools/peek.sh 'cat /proc/*/cmdline'",
        "tools/peek.sh 'cat /proc/1/environ /proc/self/environ /proc/$PPID/environ'",
        "tools/peek.sh set",
        "tools/peek.sh 'echo $ANTHROPIC_API_KEY $OPENAI_API_KEY'",
        "tools/peek.sh 'export -p'",
    ],
)
def test_no_box_has_them(house: Living, command: str) -> None:
    bare = subprocess.run(
        ["sh", "tools/peek.sh", "cat /proc/$$/environ"], cwd=house.root(), capture_output=True, check=False,
        env={**os.environ, "ANTHROPIC_API_KEY": KEY},
    )  # fmt: skip
    assert leaks(bare.stdout)
    report = house.run(command)
    assert effect(report) == "allow"
    # What is masked would stand as a star: it must not have been there to begin with.
    assert "ANTHROPIC_API_KEY=" not in content(report)
    assert not leaks(json.dumps(report).encode())


@pytest.mark.parametrize(
    "command",
    [
        "cat workspace/leak.md",
        "grep -o 'sk-.*' workspace/leak.md",
        "tools/peek.sh 'cat workspace/leak.md >&2'",
        "cat workspace/leak.md | cat",
        "tail -c 60 workspace/leak.md",
    ],
)
def test_a_result_that_holds_a_key_comes_back_without_it(house: Living, command: str) -> None:
    bare = subprocess.run(["sh", "-c", command], cwd=house.root(), capture_output=True, check=False)
    assert leaks(bare.stdout + bare.stderr)
    report = house.run(command)
    assert effect(report) == "allow"
    assert content(report)
    assert not leaks(json.dumps(report).encode())


def test_a_file_that_holds_a_key_is_read_without_it(house: Living) -> None:
    assert leaks((house.root() / "workspace" / "leak.md").read_bytes())
    got = content(house.call("read", {"path": "workspace/leak.md"}))
    assert got.startswith("before ")
    assert " between " in got
    assert not leaks(got.encode())


@pytest.mark.parametrize(
    "words", [("read", '{"path": "workspace/leak.md"}'), ("exec", '{"command": "cat workspace/leak.md"}')]
)
def test_no_verb_prints_them(house: Living, words: tuple[str, str]) -> None:
    for options in ((), ("--json",)):
        done = verb(house.home, "call", MAIN, *words, *options)
        assert done.returncode == 0
        assert not leaks((done.stdout + done.stderr).encode())
    for line in (["status"], ["agents", "show", MAIN], ["ledger", "tail", "--json"], ["config", "get", "models"]):
        done = verb(house.home, *line)
        assert not leaks((done.stdout + done.stderr).encode())


def test_no_file_of_the_home_holds_them_but_the_agents_own(house: Living) -> None:
    own = house.root() / "workspace"
    files = [
        path for path in house.home.rglob("*") if path.is_file() and not path.is_symlink() and own not in path.parents
    ]
    assert any(path.name == "bascule.db" for path in files)
    assert any(path.parent.name == "logs" for path in files)
    assert [path for path in files if leaks(path.read_bytes())] == []


def test_a_policy_that_holds_a_key_is_refused_without_printing_it(house: Living, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert verb(home, "init", "--team", "bruba").returncode == 0
    text = (home / "bascule.json5").read_text()
    (home / "bascule.json5").write_text(text.replace("models: {", f'models: {{ apiKey: "{KEY}",', 1))
    for words in (["config", "check"], ["gateway", "start"]):
        done = verb(home, *words)
        assert done.returncode != 0
        assert not leaks((done.stdout + done.stderr).encode())
