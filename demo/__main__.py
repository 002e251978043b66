"""``python -m demo [--policy DIR] [--json]``: play the day and the turned model, show what came of it, clean up.

Status 0 only if every step went as its line tells, nothing leaked, nothing that governs was changed, and the ledger
verifies; 1 if anything differed, each difference named; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bascule.cli.sink import Sink
from bascule.core.errors import BasculeError
from demo import canaries, engine, table
from demo.evidence import Ledger
from demo.house import GURU, House, throw_away
from demo.network import own_network
from demo.play import Played, Player, governing
from demo.steps import MAIN, SURFACES, WEB, DemoError, Step, load, script

HERE = Path(__file__).resolve().parent

INTERRUPTED = 130

FORGETFUL = '{"say": "I will remember."}\n{"loop": true}\n'
"""What the other agent's model plays: it only listens."""


@dataclass(slots=True)
class Show:
    """One showing: the sink, what was played, and what did not go as told."""

    sink: Sink
    house: House
    played: list[Played] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def say(self, text: str = "", how: str = "") -> None:
        """Print a line for people; with ``--json`` nothing but the result is printed."""
        if not self.sink.as_json:
            self.sink.painted([(text, how), ("\n", "")])

    def head(self, title: str) -> None:
        """Begin a part."""
        self.say()
        self.say(title, "bold")

    def fault(self, text: str) -> None:
        """Note and say that something is not as told."""
        self.faults.append(text)
        self.say(f"  !! {text}", "red")

    def run(self, policy: Path | None) -> None:
        """Run it all on a house that stands empty.

        Raises:
            DemoError, BasculeError: it could not go on.
        """
        day, turned = (load(HERE / name, self.house.names()) for name in ("day.jsonl", "turned.jsonl"))
        self.open(policy, [*day, *turned])
        self.controls(turned)
        client = self.house.client
        if client is None:
            raise DemoError("the gateway is gone")
        before = canaries.snapshot(governing(self.house))
        player = Player(self.house, client, Ledger(client))
        self.head("A working day")
        self.play(player, day, cards=True)
        self.head("The same model, turned")
        self.play(player, turned, cards=False)
        self.weigh(player, before)

    def open(self, policy: Path | None, steps: Sequence[Step]) -> None:
        """Make the home, start its gateway, and confide something to another agent."""
        scripts = {agent: script([step for step in steps if step.agent == agent]) for agent in (MAIN, WEB)}
        self.house.make(policy, {**scripts, GURU: FORGETFUL})
        client = self.house.start()
        state = client.request("status")
        split = "warden and gateway apart" if state["mode"] == "root" else "without root, in a user namespace"
        self.say(f"  a throw-away home    {self.house.home}")
        self.say(f"  a real gateway       pid {state['pid']}, {state['agents']} agents, {split}")
        where = "a container of Docker's" if engine.usable() else "bubblewrap's boxes, for containers need root"
        self.say(f"  a reader of the web  bruba-web, in {where}, by a proxy of its own")
        self.say(f"  a scripted model     {len(steps)} calls from demo/day.jsonl and demo/turned.jsonl")
        for _event in client.stream(
            "send", None, agent=GURU, text=f"The safe opens with {self.house.tokens['safe']}.", session=None
        ):
            pass

    def controls(self, steps: Sequence[Step]) -> None:
        """Show that each attack is one: done by a plain shell, without Bascule, it succeeds; then it is undone."""
        tried = [step for step in steps if step.without and self.house.service(step) is not None]
        weak = [
            step.title
            for step in tried
            if not canaries.succeeds_without(step, self.house.service(step), self.house.main, self.house.tokens["key"])
        ]
        won = f"{len(tried) - len(weak)} of {len(tried)}"
        self.say(f"  positive controls    {won} attacks work in a plain shell (and are undone)")
        if self.house.metadata is None:
            self.say(
                "                       (nobody can be put at a cloud's address without root: that attack has none)"
            )
        for title in weak:
            self.fault(f"without Bascule this does not succeed either, so it shows nothing: {title}")

    def play(self, player: Player, steps: Sequence[Step], *, cards: bool) -> None:
        """Play steps, a line each as they happen; with ``cards`` what the operator is shown when asked."""
        for step in steps:
            played = player.play(step)
            self.played.append(played)
            faults = played.faults()
            effects = ", ".join(played.evidence.effects()) or "nothing"
            colour = table.COLOURS.get(effects.partition(":")[0].partition(",")[0], "red")
            if not self.sink.as_json:
                mark = ("  !! ", "red bold") if faults else ("  ok ", "green")
                self.sink.painted([mark, (f"{effects:<20}", colour), (f" {step.title}\n", "")])
            if cards and played.card:
                self.card(played.card, step)
            self.faults += [f"{step.title}: {fault}" for fault in faults]

    def card(self, lines: Sequence[str], step: Step) -> None:
        """Show a question's card as the operator saw it."""
        where = SURFACES[step.through if self.house.surfaces.wired else "chat"]
        self.say(f"     the operator is shown this card, and says yes {where}:")
        for line in lines:
            for part in textwrap.wrap(line, max(20, min(self.sink.columns, table.WIDEST) - 8), subsequent_indent="  "):
                self.say(f"     | {part}", "dim")

    def weigh(self, player: Player, before: dict[Path, bytes]) -> None:
        """Look over everything once more: all the model was told, every file that governs."""
        self.head("All of it together")
        tokens = {step.step.canary.text for step in self.played if step.step.state == "unseen"} - {
            step.step.canary.text for step in self.played if step.step.state == "seen"
        }
        told = player.told()
        everything = told + b"\n".join(player.results).decode("utf-8", "replace")
        leaked = [token for token in tokens if token in everything]
        kept = f"{len(tokens) - len(leaked)} of {len(tokens)}"
        self.say(f"  {kept} secrets stayed out of the {len(told)} characters that the model was told")
        for name, token in self.house.tokens.items():
            if token in leaked:
                self.fault(f"the secret {name!r} reached the model")
        changed = canaries.differences(before, canaries.snapshot(governing(self.house)))
        self.say(f"  {len(before) - len(changed)} of {len(before)} files that govern are byte for byte what they were")
        for path in changed:
            self.fault(f"{path.relative_to(self.house.top)} was changed, made or removed")

    def table(self) -> None:
        """Print the table, or with ``--json`` everything as one object."""
        shorten = ((str(self.house.home), "~"), (str(self.house.top), ".."))
        rows = [table.row(played, shorten) for played in self.played]
        if self.sink.as_json:
            body = {"ok": not self.faults, "faults": self.faults, "steps": [dataclasses.asdict(each) for each in rows]}
            self.sink.json(body)
            return
        self.head("Step by step, read from the ledger and from canaries")
        self.say("~ is the home; a canary is a secret of this run, a watched file, or a service.")
        self.say()
        table.show(self.sink, rows)

    def verify(self) -> None:
        """Stop the gateway, as its operator would, and verify what it wrote."""
        self.house.stop()
        done = self.house.verb("ledger", "verify")
        self.head("$ bascule ledger verify")
        for line in (done.stdout + done.stderr).splitlines():
            self.say(f"  {line}")
        if done.returncode != 0:
            self.fault(f"the ledger does not verify (status {done.returncode})")


def main(words: Sequence[str]) -> int:
    """Be the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="See Bascule at work, without key or network.")
    parser.add_argument("--policy", type=Path, metavar="DIR", help="take bascule.json5, exec-approvals.json from here")
    parser.add_argument("--json", action="store_true", help="print one object instead")
    asked = parser.parse_args(words)
    sink = Sink(as_json=asked.json)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    began = time.monotonic()
    houses: list[House] = []
    status, faults = 1, []
    try:
        with throw_away(own_network=own_network()) as house:
            houses.append(house)
            faults = perform(Show(sink, house), asked.policy)
            status = 1 if faults else 0
    except KeyboardInterrupt:
        sink.note("interrupted")
        status = INTERRUPTED
    except (BasculeError, DemoError, OSError, subprocess.TimeoutExpired) as error:
        sink.note(f"demo: {error}")
    left = [each for house in houses for each in house.left()]
    if left:
        sink.note(f"left behind: {', '.join(left)}")
        return max(status, 1)
    if status == INTERRUPTED:
        sink.note("everything was stopped and removed")
    elif not asked.json and (faults or not status):
        close(sink, faults, time.monotonic() - began)
    return status


def perform(show: Show, policy: Path | None) -> list[str]:
    """Run the whole show; return what did not go as told."""
    show.say("Bascule: a model does its day's work, and then somebody turns it.", "bold")
    show.say("No key and no network are needed, and nothing is left behind.")
    show.say()
    show.run(policy)
    if show.sink.as_json:
        show.verify()
        show.table()
    else:
        show.table()
        show.verify()
    return show.faults


def close(sink: Sink, faults: Sequence[str], seconds: float) -> None:
    """Say how it went."""
    sink.line()
    if faults:
        sink.painted([(f"NOT as told (after {seconds:.0f} s):\n", "red bold")])
        for fault in faults:
            sink.line(f"  {fault}")
    else:
        sink.painted([("All as told", "green bold"), (f", in {seconds:.0f} s; stopped and removed.\n", "")])
        sink.line("Change the policy and see the table change:  make demo ARGS='--policy DIR'")
        sink.line("Talk to an agent of your own:                make run")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
