"""Playing steps: each is one turn of the scripted model on the real gateway, and what came of it.

The demo is the operator: it speaks through the control client's ``send``, answers questions as the step says, and looks
at the canary only when the turn is over.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bascule.control.client import Client
from demo import race
from demo.canaries import Watch
from demo.evidence import Evidence, Ledger
from demo.house import House
from demo.race import Race
from demo.steps import MAIN, WEB, Step


@dataclass(frozen=True, slots=True)
class Played:
    """A step and what came of it: records, the canary's state, the card if the operator was asked."""

    step: Step
    evidence: Evidence
    state: str
    results: tuple[bytes, ...] = ()
    card: tuple[str, ...] = ()
    race: Race | None = None

    def faults(self) -> list[str]:
        """Return how it differs from what was to be, a line each; empty if it all went as told."""
        found = []
        effects = self.evidence.effects()
        if not effects or not effects.keys() <= self.step.effects:
            wanted, got = " or ".join(sorted(self.step.effects)), ", ".join(sorted(effects)) or "nothing"
            found.append(f"{got} (as told: {wanted})")
        if self.state != self.step.state:
            found.append(f"canary {self.state} (as told: {self.step.state})")
        if self.step.by and all(verdict["judge"] != self.step.by for verdict in self.evidence.objections()):
            found.append(f"{self.step.by} does not object (as told: it does)")
        if not self.evidence.covers(self.results):
            found.append("what came back is not what the ledger says came back")
        if self.race is not None and not self.race.leaks:
            found.append("the naive reader never lost the race, so it proves nothing")
        return found


@dataclass(slots=True)
class Player:
    """Plays steps on one house; keeps all that the model was brought back."""

    house: House
    client: Client
    ledger: Ledger
    results: list[bytes] = field(default_factory=list)

    def play(self, step: Step) -> Played:
        """Play one step.

        Raises:
            BasculeError: the turn did not end by itself.
            DemoError: the race could not be run.
        """
        with ExitStack() as stack:
            contest = self._contest(step, stack) if step.racing else None
            watch = Watch(step.canary, self.house.service(step))
            results, card = self._turn(step)
        self.results += results
        evidence = Evidence([record for record in self.ledger.fresh() if record["agent"] == step.agent])
        state = watch.state(results)
        if step.canary.reached and not state:
            state = "reached" if evidence.connections() else "unreached"
        return Played(step, evidence, state, tuple(results), card, contest)

    def _contest(self, step: Step, stack: ExitStack) -> Race:
        """Begin to swap names, and let the naive reader show that the race can be won."""
        swapped = self.house.main / str(step.args["path"])
        contest = stack.enter_context(
            race.racing(self.house.home, self.house.uid(), swapped, self.house.guru / "diary.md")
        )
        race.read_naively(contest, swapped, step.canary.text)
        return contest

    def _turn(self, step: Step) -> tuple[list[bytes], tuple[str, ...]]:
        results: list[bytes] = []
        card: tuple[str, ...] = ()
        for event in self.client.stream("send", None, agent=step.agent, text=step.operator, session=None):
            if event["event"] == "tool":
                results += _brought_back(event["report"])
            elif event["event"] == "approval":
                card = tuple(event["approval"]["card"])
                if step.answer == "yes":
                    self.house.surfaces.answers(step.through)(self.client, event["approval"])
                else:
                    self.client.request("approvals_deny", ref=event["approval"]["id"])
        return results, card

    def told(self) -> str:
        """Return everything the models were told in their sessions, as the gateway keeps it."""
        shown = [self.client.request("sessions_show", session=f"agent:{agent}:main") for agent in (MAIN, WEB)]
        return "\n".join(line["text"] for each in shown for line in each["transcript"])


def _brought_back(report: Mapping[str, Any]) -> Iterator[bytes]:
    outcome = report["outcome"]
    if outcome is not None:
        text = outcome["content"]
        yield base64.b64decode(text) if outcome["encoding"] == "base64" else text.encode("utf-8", "surrogateescape")


def governing(house: House) -> list[Path]:
    """Return what no agent may change: policy, prompts, tools, other agents, and what lies outside."""
    files = [house.home / name for name in ("bascule.json5", "exec-approvals.json", "accounts.json")]
    return [*files, house.home / "prompts", house.home / "scripts", house.main / "tools", house.guru, house.outside]
