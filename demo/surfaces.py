"""Where the demo's operator answers: in the running chat, over HTTP with a token, and over Signal with a thumb.

Signal's other side is the stand-in of ``demo/signal_daemon.py``, which speaks signal-cli's protocol and reaches nobody;
the gateway's side, the token and every answer are real.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from bascule.control.client import Client
from demo.signal_daemon import Person, Sent, SignalDaemon
from demo.steps import DemoError

OURS = Person("+15555550100", "5b7d2a31-4a5e-4a4e-8d15-0c8f4a9b1c01", "Bascule")
OPERATOR = Person("+15555550199", "9f0c4d52-77aa-4a0b-9a52-3b1f6c2d7e02", "Operator")

SECONDS = 20.0
"""Most seconds until a message is there, or an answer counts."""

_PERSON = re.compile(r"(\bapproves: true,\n)")


Answer = Callable[[Client, Mapping[str, Any]], None]
"""One way of saying yes to a question; it returns once the yes counts."""


class Surfaces:
    """The operator's phone and their HTTP client, for one home."""

    def __init__(self) -> None:
        self.daemon = SignalDaemon(OURS).start()
        self.port = _free_port()
        self.token = ""
        self.wired = False

    def wire(self, config: str) -> str:
        """Return the policy with a port of its own and an operator on Signal; as it is, if it has such parts itself."""
        if re.search(r"^  (gateway|channels):", config, re.MULTILINE) or len(_PERSON.findall(config)) != 1:
            return config
        self.wired = True
        sections = (
            f"  gateway: {{ port: {self.port} }},\n"
            f'  channels: {{ signal: {{ account: "{OURS.number}", accountUuid: "{OURS.uuid}", '
            f'httpUrl: "{self.daemon.url}", dmPolicy: "allowlist", allowFrom: ["{OPERATOR.number}"] }} }},\n'
        )
        named = _PERSON.sub(rf'\1      signal: ["{OPERATOR.number}"],\n', config)
        return named.replace("\n{\n", "\n{\n" + sections, 1)

    def answers(self, through: str) -> Answer:
        """Return how to answer on a surface; all of them in the chat where the policy has no other."""
        return {"http": self._over_http, "signal": self._over_signal}.get(through if self.wired else "", in_chat)

    def _over_http(self, _client: Client, approval: Mapping[str, Any]) -> None:
        where = f"http://127.0.0.1:{self.port}/api/v1/approvals/{approval['id']}"
        headers = {"Authorization": f"Bearer {self.token}"}
        shown = httpx2.get(where, headers=headers, timeout=SECONDS).raise_for_status().json()
        if shown["card"] != approval["card"]:
            raise DemoError("the card over HTTP is another one")
        # Said to what was shown: with another digest the yes would be refused.
        said = httpx2.post(f"{where}/approve", headers=headers, json={"digest": shown["digest"]}, timeout=SECONDS)
        if said.status_code != httpx2.codes.OK:
            raise DemoError(f"the yes over HTTP was refused: {said.text}")

    def _over_signal(self, client: Client, approval: Mapping[str, Any]) -> None:
        card = self._card(str(approval["code"]))
        self.daemon.react(OPERATOR, "\N{THUMBS UP SIGN}", card.at)
        until = time.monotonic() + SECONDS
        while client.request("approvals_show", ref=approval["id"])["state"] == "pending":
            if time.monotonic() > until:
                raise DemoError("the thumb over Signal came to nothing")
            time.sleep(0.05)

    def _card(self, code: str) -> Sent:
        """Return the message that asks, once it has gone out."""
        until, seen = time.monotonic() + SECONDS, 0
        while time.monotonic() < until:
            every = self.daemon.wait_for(seen + 1, 1.0)
            for sent in every[seen:]:
                if code in sent.text and sent.to == OPERATOR.number:
                    return sent
            seen = len(every)
        raise DemoError("no card came over Signal")

    def close(self) -> None:
        """End the stand-in."""
        self.daemon.stop()


def in_chat(client: Client, approval: Mapping[str, Any]) -> None:
    """Say yes where the conversation is."""
    client.request("approvals_approve", ref=approval["id"])


def token_of(printed: str) -> str:
    """Return the secret from what ``tokens create --json`` printed."""
    return str(json.loads(printed)["token"])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
