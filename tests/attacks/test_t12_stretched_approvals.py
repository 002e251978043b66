"""T12: a yes is forged, reused, stretched to another call, or taken from silence.

The effect is counted: every run appends a line to a file outside. Run by a plain shell, without a desk, the command
counts as often as it is started.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.living import MAIN, Living, codes, effect, living, verb

from bascule.control import place
from bascule.control.client import Client

pytestmark = pytest.mark.live

OTHER = "bruba-rex"
SCRIPT = "#!/bin/sh\necho x\n"
SECONDS = 10
"""How long a question stands in the second house: the least that policy takes."""


@dataclass(frozen=True)
class Ground:
    made: Living
    outside: Path

    def command(self, name: str = "open") -> str:
        """A call that asks, and whose effect is one more line in ``name``."""
        return f"cat workspace/line >> {self.outside / name}"

    def effects(self, name: str = "open") -> int:
        return len((self.outside / name).read_text().splitlines())

    def ask(self, command: str, **options: Any) -> str:
        report = self.made.run(command, **options)
        assert (effect(report), report["outcome"]) == ("ask", None), report["decision"]
        return str(report["approval"]["id"])

    def approve(self, ref: str) -> None:
        self.made.client.request("approvals_approve", ref=ref)

    def state(self, ref: str) -> str:
        return str(self.made.client.request("approvals_show", ref=ref)["state"])


def furnish(made: Living) -> None:
    for agent in (MAIN, OTHER):
        (made.root(agent) / "workspace" / "line").write_text("x\n")
        script = made.root(agent) / "tools" / "count.sh"
        script.write_text(SCRIPT)
        script.chmod(0o755)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="outside-") as name:
        outside = Path(name)
        outside.chmod(0o755)
        with living(tmp_path_factory.mktemp("t12") / "home", furnish) as made:
            yield Ground(made, outside)


@pytest.fixture(autouse=True)
def _fresh(ground: Ground) -> None:
    for name in ("open", "other"):
        (ground.outside / name).write_text("")
        (ground.outside / name).chmod(0o666)


def test_without_a_desk_every_start_counts(ground: Ground) -> None:
    for _ in range(3):
        subprocess.run(["sh", "-c", ground.command()], cwd=ground.made.root(), check=True)
    assert ground.effects() == 3


def test_nothing_happens_before_the_yes_and_once_after_it(ground: Ground) -> None:
    asked = ground.ask(ground.command())
    assert ground.ask(ground.command()) == asked  # the same question, not a second one
    assert ground.effects() == 0
    ground.approve(asked)
    assert ground.effects() == 0  # a yes by itself starts nothing
    assert ground.made.run(ground.command())["outcome"]["ok"]
    assert ground.effects() == 1
    assert ground.state(asked) == "consumed"
    assert ground.ask(ground.command()) != asked
    assert ground.effects() == 1


CHANGED: dict[str, dict[str, Any]] = {
    "another session": {"session": f"agent:{MAIN}:other"},
    "another agent": {"agent": OTHER},
    "another file": {"name": "other"},
    "another argument": {"timeout": 5},
}


@pytest.mark.parametrize("changed", CHANGED)
def test_a_yes_does_not_fit_another_call(ground: Ground, changed: str) -> None:
    options = dict(CHANGED[changed])
    asked = ground.ask(ground.command())
    ground.approve(asked)
    args: dict[str, Any] = {"command": ground.command(options.pop("name", "open"))}
    if "timeout" in options:
        args["timeout"] = options.pop("timeout")
    report = ground.made.call("exec", args, **options)
    assert (effect(report), report["outcome"]) == ("ask", None)
    assert report["approval"]["id"] != asked
    assert (ground.effects(), ground.effects("other")) == (0, 0)
    assert ground.made.run(ground.command())["outcome"]["ok"]  # the call it was given for still may
    assert (ground.effects(), ground.effects("other")) == (1, 0)


@pytest.mark.parametrize(
    "spelling",
    [
        "cat  workspace/line >> {}",
        "cat workspace/./line >> {}",
        "cat 'workspace/line' >> {}",
        "/bin/cat workspace/line >> {}",
    ],
)
def test_a_yes_fits_no_other_spelling(ground: Ground, spelling: str) -> None:
    ground.approve(ground.ask(ground.command()))
    other = ground.made.run(spelling.format(ground.outside / "open"))
    assert (effect(other), other["outcome"]) == ("ask", None)
    assert ground.effects() == 0
    ground.made.run(ground.command())


def test_a_program_changed_after_the_yes_asks_again(ground: Ground) -> None:
    command = f"tools/count.sh >> {ground.outside / 'open'}"
    script = ground.made.root() / "tools" / "count.sh"
    ground.approve(ground.ask(command))
    script.write_text(SCRIPT.replace("echo x", "echo y"))
    ground.ask(command)
    assert ground.effects() == 0
    script.write_text(SCRIPT)  # as it was when the operator looked: the yes is for this very content
    assert ground.made.run(command)["outcome"]["ok"]
    assert (ground.outside / "open").read_text() == "x\n"
    ground.ask(command)


def test_a_deny_of_policy_stands_above_a_yes(ground: Ground) -> None:
    command = f"tools/count.sh >> {ground.outside / 'open'}"
    tools = ground.made.root() / "tools"
    owner = tools.stat().st_uid
    ground.approve(ground.ask(command))
    os.chown(tools, ground.made.uid(), -1)
    try:
        report = ground.made.run(command)
    finally:
        os.chown(tools, owner, -1)
    assert effect(report) == "deny"
    assert "tools_unsafe" in codes(report)
    assert ground.effects() == 0


def test_a_no_is_a_no(ground: Ground) -> None:
    asked = ground.ask(ground.command())
    ground.made.client.request("approvals_deny", ref=asked)
    assert ground.state(asked) == "denied"
    done = verb(ground.made.home, "approvals", "approve", asked)
    assert (done.returncode, ground.state(asked)) == (1, "denied") or done.returncode == 2
    assert ground.ask(ground.command()) != asked
    assert ground.effects() == 0


@pytest.mark.parametrize("forged", ["apr_0000000000000000", "AAAAAAAA", "", "%", "apr_%", "' OR 1=1 --", "../x"])
def test_a_made_up_reference_answers_nothing(ground: Ground, forged: str) -> None:
    asked = ground.ask(ground.command())
    done = verb(ground.made.home, "approvals", "approve", "--", forged)
    assert done.returncode != 0
    assert ground.state(asked) == "pending"
    assert ground.effects() == 0
    ground.made.client.request("approvals_deny", ref=asked)


def test_an_agent_is_told_neither_id_nor_code_by_its_own_tools(ground: Ground) -> None:
    asked = ground.ask(ground.command())
    shown = ground.made.client.request("approvals_show", ref=asked)
    report = ground.made.call("read", {"path": "workspace/line"})
    for secret in (shown["id"], shown["code"]):
        assert secret not in json.dumps(report)
    ground.made.client.request("approvals_deny", ref=asked)


@pytest.mark.parametrize("callers", [2, 10])
def test_of_many_callers_on_one_yes_one_has_the_effect(ground: Ground, callers: int) -> None:
    ground.approve(ground.ask(ground.command()))
    reports = raced(ground.made.home, ground.command(), callers)
    assert len(reports) == callers
    assert sum(report["outcome"] is not None for report in reports) == 1
    assert ground.effects() == 1


def raced(home: Path, command: str, callers: int) -> list[dict[str, Any]]:
    """Make the same call over as many connections at the same moment."""
    barrier = threading.Barrier(callers)
    reports: list[dict[str, Any]] = []

    def one() -> None:
        connection = place.dial(home)
        assert connection is not None
        client = Client(connection, lambda: None)
        options = {"session": None, "dry_run": False, "wait": 0.0, "as_operator": False}
        barrier.wait(30)
        args = json.dumps({"command": command})
        reports.append(dict(client.request("call", agent=MAIN, tool="exec", args_text=args, **options)))
        client.close()

    threads = [threading.Thread(target=one) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return reports


def test_of_many_callers_that_wait_for_one_yes_one_has_the_effect(ground: Ground) -> None:
    asked = ground.ask(ground.command())
    barrier = threading.Barrier(5)
    reports: list[dict[str, Any]] = []

    def one() -> None:
        connection = place.dial(ground.made.home)
        assert connection is not None
        client = Client(connection, lambda: None)
        options = {"session": None, "dry_run": False, "wait": 30.0, "as_operator": False}
        args = json.dumps({"command": ground.command()})
        barrier.wait(30)
        reports.append(dict(client.request("call", agent=MAIN, tool="exec", args_text=args, **options)))
        client.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait(30)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        tried = [row for row in ground.made.records(12) if row["kind"] == "decided"]
        if len(tried) >= 5:
            break
        time.sleep(0.05)
    ground.approve(asked)
    for thread in threads:
        thread.join(60)
    assert len(reports) == 4
    ran = [report for report in reports if report["outcome"] is not None]
    assert (len(ran), ground.effects()) == (1, 1)


def test_a_yes_does_not_outlive_the_policy_it_was_given_under(ground: Ground) -> None:
    made = ground.made
    asked = ground.ask(ground.command())
    ground.approve(asked)
    made.stop()
    made.start()
    made.stop()
    made.change("bascule.json5", lambda text: text.replace("wallSeconds: 120", "wallSeconds: 119"))
    made.start()
    report = made.run(ground.command())
    assert (effect(report), report["outcome"]) == ("ask", None)
    assert report["approval"]["id"] != asked
    assert ground.effects() == 0


def test_a_yes_outlives_a_restart_under_the_same_policy_and_is_spent_once(ground: Ground) -> None:
    made = ground.made
    ground.approve(ground.ask(ground.command()))
    made.stop()
    made.start()
    assert made.run(ground.command())["outcome"]["ok"]
    assert effect(made.run(ground.command())) == "ask"
    assert ground.effects() == 1


def test_silence_is_no(tmp_path: Path) -> None:
    def prepare(made: Living) -> None:
        furnish(made)
        made.change("bascule.json5", lambda text: text.replace("timeoutSeconds: 1800", f"timeoutSeconds: {SECONDS}"))

    with tempfile.TemporaryDirectory(prefix="outside-") as folder, living(tmp_path / "home", prepare) as made:
        ground = Ground(made, Path(folder))
        ground.outside.chmod(0o755)
        for name in ("open", "other"):
            (ground.outside / name).write_text("")
            (ground.outside / name).chmod(0o666)
        late = ground.ask(ground.command())
        ground.approve(late)
        waited = made.run(ground.command("other"), wait=30.0)
        assert (waited["approval"]["state"], waited["outcome"]) == ("expired", None)
        assert ground.state(late) == "expired"
        ground.ask(ground.command())
        assert ground.effects() == 0
