"""What became of a step, read from the ledger: decisions with every verdict, answers, beginnings and ends."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from bascule.control.client import Client

Record = Mapping[str, Any]
"""A row of ``bascule ledger show --json``."""

_WORDS = {"approved": "yes", "denied": "no"}
_STRICT = ("deny", "ask", "allow")


class Ledger:
    """Reads a gateway's ledger forward, record by record."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seq = int(client.request("status")["ledger_seq"])

    def fresh(self) -> list[Record]:
        """Return the records since the last look."""
        first, last = self._seq + 1, int(self._client.request("status")["ledger_seq"])
        self._seq = max(self._seq, last)
        return [self._client.request("ledger_show", seq=seq) for seq in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The records of one step, for one agent, in order."""

    records: Sequence[Record]

    def _of(self, kind: str) -> list[Record]:
        return [record for record in self.records if record["kind"] == kind]

    def _chains(self) -> Iterator[tuple[Record, Record | None]]:
        """Yield every decision with the end of what it let begin, None if nothing began."""
        started = {record["body"]["parent"]: record["seq"] for record in self._of("started")}
        finished = {record["body"]["parent"]: record for record in self._of("finished")}
        for decided in self._of("decided"):
            yield decided, finished.get(started.get(decided["seq"]))

    def effects(self) -> Counter[str]:
        """Return how often each thing became of the calls, in the words of ``steps.EFFECTS``."""
        found: Counter[str] = Counter()
        answer = next((record["kind"] for record in self.records if record["kind"] in _WORDS), "")
        for decided, end in self._chains():
            effect = decided["body"]["decision"]["effect"]
            ending = "" if end is None else ("ran" if end["body"]["ok"] else "failed")
            if effect == "deny":
                found["denied"] += 1
            elif effect == "allow":
                found[ending or "did not end"] += 1
            elif answer == "denied":
                found["asked: no"] += 1
            elif answer == "approved" and ending:
                found[f"asked: yes, {ending}"] += 1
            elif answer != "approved":
                found["asked, not answered"] += 1
        overruled = sum(record["body"]["decision"]["effect"] == "deny" for record in self._of("answered"))
        return found + Counter({"asked: yes, denied": overruled})

    def verdicts(self) -> list[Mapping[str, str]]:
        """Return the verdicts of the first decision, the strictest first."""
        decided = self._of("decided")
        found = decided[0]["body"]["decision"]["verdicts"] if decided else []
        return sorted(found, key=lambda verdict: _STRICT.index(verdict["effect"]))

    def objections(self) -> list[Mapping[str, str]]:
        """Return the verdicts of the first decision that were not ALLOW, the strictest first."""
        return [verdict for verdict in self.verdicts() if verdict["effect"] != "allow"]

    def asked(self) -> str:
        """Return what the model asked, in one line: the tool, and what matters of its arguments."""
        decided = self._of("decided")
        if not decided:
            return ""
        body = decided[0]["body"]
        args = body.get("args")
        if args is None:
            args = _object(body["raw_args"])
        shown = [str(args[name]) for name in ("command", "path") if name in args]
        return " ".join([body["tool"], *(shown or map(str, args.values()))])

    def tool(self) -> str:
        """Return the tool of the first call, empty if there was none."""
        return next((str(record["body"]["tool"]) for record in self._of("decided")), "")

    def remedy(self) -> str:
        """Return what the leading verdict advises; if it has no advice, what the other objections advise."""
        advice = [verdict["remedy"] for verdict in self.objections()]
        return advice[0] if advice and advice[0] else "; ".join(filter(None, advice))

    def endings(self) -> list[str]:
        """Return how the calls that ran ended: exit status or code, and how much came back."""
        found: Counter[str] = Counter()
        for record in self._of("finished"):
            body = record["body"]
            if body["exit"] is not None:
                found[f"exit {body['exit']}, {body['size']} bytes"] += 1
            elif body["ok"]:
                found[f"{body['size']} bytes"] += 1
            else:
                found[body["code"]] += 1
        return [ending if count == 1 else f"{count} x {ending}" for ending, count in found.most_common()]

    def codes(self) -> list[str]:
        """Return the codes with which file tools ended, if they failed."""
        bodies = [record["body"] for record in self._of("finished")]
        return sorted({body["code"] for body in bodies if body["exit"] is None} - {""})

    def covers(self, results: Sequence[bytes]) -> bool:
        """Return whether what came back is, by its hashes, what the ledger says came back."""
        recorded = Counter(record["body"]["sha256"] for record in self._of("finished"))
        return recorded == Counter(hashlib.sha256(result).hexdigest() for result in results)

    def box(self) -> list[str]:
        """Return the programs that existed in the boxes of this step, by name."""
        programs = [name for record in self._of("started") for name in record["body"]["confinement"]["programs"]]
        return sorted({PurePath(name).name for name in programs})

    def connections(self) -> int:
        """Return how many connections were made for the agent; each is on disk before it is."""
        return len(self._of("egress_opened"))

    def answered(self) -> str:
        """Return who answered the question and how, empty if nobody was asked."""
        for record in self.records:
            if record["kind"] in _WORDS:
                return f"{record['body']['by']} says {_WORDS[record['kind']]}"
        return ""

    def seq(self) -> int:
        """Return the number of the first decision, 0 if there is none."""
        decided = self._of("decided")
        return int(decided[0]["seq"]) if decided else 0


def _object(raw: str) -> Mapping[str, Any]:
    """Return arguments that were refused before they were parsed, as far as they can be shown."""
    try:
        found = json.loads(raw)
    except ValueError:
        found = raw
    return found if isinstance(found, dict) else {"": raw}
