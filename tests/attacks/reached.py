"""A living home that is reached from everywhere: over HTTP on a port of its own, over Signal, on its control socket.

Signal's other side is the stand-in of ``demo/signal_daemon.py``; all else is real. The effect that is asked about is one
more byte in a file outside, which only grows.
"""

from __future__ import annotations

import json
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from demo.signal_daemon import Person, Sent, SignalDaemon
from tests.attacks.killing import Killable, killable, size
from tests.living import MAIN, Living, living

OURS = Person("+15555550100", "5b7d2a31-4a5e-4a4e-8d15-0c8f4a9b1c01", "Bascule")
ANN = Person("+15555550199", "9f0c4d52-77aa-4a0b-9a52-3b1f6c2d7e02", "Ann")
CARL = Person("+15555550122", "1c3b7b0e-1d55-4f0e-8f4b-0d3c9a5e6f03", "Carl")
EVE = Person("+15555550166", "6a6f2f11-2f0f-4c57-8c43-7f5b1b0d9e04", "Ann")
"""An approver, one who may chat only, and a stranger who calls herself as the approver does."""

YES, NO = "\N{THUMBS UP SIGN}", "\N{THUMBS DOWN SIGN}"
GROUP = "c29tZSBncm91cCBvZiBwZW9wbGU="
SECONDS = 60.0

PEOPLE = f"""operators: {{
    ann: {{ chats: true, approves: true, signal: ["{ANN.number}", "uuid:{ANN.uuid}"] }},
    carl: {{ chats: true, approves: false, signal: ["{CARL.number}", "uuid:{CARL.uuid}"] }},"""

_OPERATORS = re.compile(r"operators: \{\n    me: \{.*?\n    \},", re.DOTALL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def until(found: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Return the first true value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"never came: {what}")


def session() -> str:
    """A name no session had before."""
    return f"s{time.monotonic_ns()}"


def wider(**terms: Any) -> dict[str, Any]:
    """What a grant is asked with: this very call, for as long as there is."""
    plain = {"extent": "exact", "this_session": False, "minutes": None, "uses": None, "args": None, "under": None}
    return {**plain, **terms}


@dataclass
class Reached:
    made: Living
    daemon: SignalDaemon
    port: int
    outside: Path

    # -- the model's side

    def args(self, name: str = "count") -> dict[str, Any]:
        """A call of ``write`` that asks, and whose effect is one more byte in ``name``."""
        path = self.outside / name
        if not path.exists():
            path.touch()
            path.chmod(0o666)
        return {"path": str(path), "content": "x", "append": True}

    def effects(self, name: str = "count") -> int:
        return size(self.outside / name)

    def ask(self, name: str = "count", **options: Any) -> dict[str, Any]:
        """Open the question about that call and return it whole."""
        report = self.made.call("write", self.args(name), **options)
        assert (report["decision"]["effect"], report["outcome"]) == ("ask", None), report["decision"]
        return self.show(str(report["approval"]["id"]))

    def again(self, name: str = "count", **options: Any) -> str:
        """Make the call again; ``allow`` if a yes let it happen."""
        return str(self.made.call("write", self.args(name), **options)["decision"]["effect"])

    def show(self, ref: str) -> dict[str, Any]:
        return dict(self.made.client.request("approvals_show", ref=ref))

    def state(self, ref: str) -> str:
        return str(self.show(ref)["state"])

    def settle(self) -> None:
        """Say no to whatever is still open."""
        for row in self.made.client.request("approvals_list", everything=False):
            self.made.client.request("approvals_deny", ref=row["id"])

    # -- the surfaces

    def token(self, name: str, scopes: str = "read,approve", agents: str = "*", **more: Any) -> dict[str, Any]:
        """Make a token as the machine's operator does."""
        asked = {"session": None, "trusted": False, "days": 1, "person": None, **more}
        return dict(self.made.client.request("tokens_create", name=name, scopes=scopes, agents=agents, **asked))

    def http(self, secret: str = "", **more: Any) -> httpx2.Client:
        headers = ({"authorization": f"Bearer {secret}"} if secret else {}) | more.pop("headers", {})
        address = f"http://127.0.0.1:{self.port}"
        return httpx2.Client(base_url=address, headers=headers, trust_env=False, timeout=SECONDS, **more)

    def raw(self, sent: bytes) -> bytes:
        """Send bytes and return everything that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as connection:
            connection.sendall(sent)
            found = bytearray()
            while piece := connection.recv(1 << 16):
                found += piece
        return bytes(found)

    def card(self, question: Mapping[str, Any], to: Person = ANN) -> Sent:
        """The message of ours in which a question is put to somebody."""
        mine = (str(question["code"]), str(question["id"]))

        def find() -> Sent | None:
            every = [each for each in self.daemon.sent if each.to == to.number and "QUESTION" in each.text]
            return next((each for each in every if any(name in each.text for name in mine)), None)

        return until(find, "a card over Signal")  # type: ignore[no-any-return] # what find returns

    def told(self, to: Person) -> list[str]:
        return [each.text for each in self.daemon.sent if each.to == to.number]

    def heard(self, marker: str = "are you there") -> None:
        """Return once everything that was delivered over Signal so far has been acted on."""
        before = len(self.told(ANN))
        # Answered from the words alone, by no agent; and events are taken in the order they came.
        self.daemon.deliver(ANN, self.daemon.stamp(), editMessage={"targetSentTimestamp": 1})
        until(lambda: any("I do not read edits" in text for text in self.told(ANN)[before:]), marker)


def wire(made: Living, daemon: SignalDaemon, port: int) -> None:
    """Let a home be reached by HTTP at a port and by the daemon."""
    signal = (
        f'  channels: {{ signal: {{ account: "{OURS.number}", accountUuid: "{OURS.uuid}", httpUrl: "{daemon.url}", '
        f'dmPolicy: "pairing", allowFrom: [], groupPolicy: "open", groups: {{ "*": {{ requireMention: false }} }} }} }},\n'
    )

    def edit(text: str) -> str:
        bare = text.replace("\n  gateway: { http: { enabled: false } },\n", "\n", 1)
        named, count = _OPERATORS.subn(PEOPLE, bare)
        assert count == 1
        return named.replace("\n{\n", f"\n{{\n  gateway: {{ port: {port} }},\n{signal}", 1)

    made.change("bascule.json5", edit)


def scripted(made: Living, lines: list[Mapping[str, Any]], agent: str = MAIN) -> None:
    """Let a script be an agent's model."""
    folder = made.home / "scripts"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    path = folder / f"{agent}.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    path.chmod(0o644)
    wanted = f'id: "{agent}", model: "script:scripts/{agent}.jsonl",'
    made.change(
        "bascule.json5", lambda text: text.replace(f'id: "{agent}",', wanted, 1) if wanted not in text else text
    )


@contextmanager
def reached(base: Path, prepare: Callable[[Living], None] = lambda _made: None) -> Iterator[Reached]:
    """A living home, connected everywhere."""
    with _around() as (daemon, outside):
        port = free_port()

        def all_of_it(made: Living) -> None:
            wire(made, daemon, port)
            prepare(made)

        with living(base / "home", all_of_it) as made:
            assert daemon.wait_connected()
            yield Reached(made, daemon, port, outside)


@contextmanager
def mortal(base: Path, prepare: Callable[[Living], None] = lambda _made: None) -> Iterator[tuple[Reached, Killable]]:
    """The same with a gateway that can be killed."""
    with _around() as (daemon, outside):
        port = free_port()

        def all_of_it(made: Killable) -> None:
            wire(made, daemon, port)
            prepare(made)

        with killable(base / "home", all_of_it) as made:
            assert daemon.wait_connected()
            yield Reached(made, daemon, port, outside), made


@contextmanager
def _around() -> Iterator[tuple[SignalDaemon, Path]]:
    daemon = SignalDaemon(OURS).start()
    try:
        with tempfile.TemporaryDirectory(prefix="outside-") as name:
            Path(name).chmod(0o755)
            yield daemon, Path(name)
    finally:
        daemon.stop()
