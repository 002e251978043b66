"""Tokens, pairings and links that need no database."""

from __future__ import annotations

from typing import Any

from bascule.core.errors import Malformed
from bascule.service.port import Caller, Minting

SECRET = "bsc_" + "s" * 40


class SimulatedDoors:
    """Whatever is asked for is made."""

    def __init__(self) -> None:
        super().__init__()
        self.minted: list[Minting] = []
        self.tokens: dict[str, dict[str, Any]] = {}

    async def tokens_create(self, caller: Caller, *, minting: Minting) -> Any:
        self.minted.append(minting)
        if minting.name in {row["name"] for row in self.tokens.values()}:
            raise Malformed("token_name", "a token of this name exists")
        row = {
            "id": f"tok_{len(self.tokens) + 1}", "name": minting.name, "state": "active",
            "scopes": minting.scopes.split(","), "agents": minting.agents.split(","), "session": minting.session or "",
            "trusted": minting.trusted, "person": minting.person or "", "created": "2026-01-01T00:00:00Z",
            "expires": "2026-02-01T00:00:00Z", "last_used": "",
        }  # fmt: skip
        self.tokens[row["id"]] = row
        return row | {"token": SECRET}

    async def tokens_list(self) -> Any:
        return list(self.tokens.values())

    async def tokens_revoke(self, caller: Caller, *, token: str) -> Any:
        for row in self.tokens.values():
            if token in {row["id"], row["name"]}:
                row["state"] = "revoked"
                return row
        raise Malformed("token_unknown", "there is no such token")

    async def pairing_list(self) -> Any:
        return [
            {
                "id": "pair_1", "code": "KOFFER23", "sender": "signal:+491701234567", "state": "waiting",
                "created": "2026-01-01T00:00:00Z", "expires": "2026-01-01T01:00:00Z",
            }
        ]  # fmt: skip

    async def pairing_approve(self, caller: Caller, *, code: str) -> Any:
        if code != "KOFFER23":
            raise Malformed("pairing_unknown", "nobody waits with this code")
        return (await self.pairing_list())[0] | {"state": "approved"}

    async def dashboard_link(self, caller: Caller) -> Any:
        return {"url": "http://127.0.0.1:18789/enter#once", "expires": "2026-01-01T00:05:00Z"}
