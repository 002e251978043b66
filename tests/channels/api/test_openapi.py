"""The whole interface, asked by a machine that reads its own description."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)
from tests.channels.over_http import ALL, built, client
from tests.channels.simulated_channel import SimulatedChannel

from bascule.channels.web.site import Pace
from bascule.core.surfaces import HttpPolicy

TOKENS = ("tok-read", "tok-approve", "tok-chat", "tok-admin", f"{ALL}.web")

DEEPER = [ignored_auth, unsupported_method, negative_data_rejection, positive_data_acceptance]
"""Checks that ask again and again, which the token with all scopes is asked for."""


class EndingChannel(SimulatedChannel):
    """A gateway whose ledger ends, so that a client that reads a stream to its end comes back."""

    async def follow(self, seq: int) -> AsyncIterator[Any]:
        for row in self.records[seq:]:
            yield row


class Steps:
    """A clock that goes on by a minute whenever somebody looks, so that nobody asks too often."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 60
        return self.now


# The tool calls every application so; a proxy's name for ours could be that.
APP = built(EndingChannel(), http=HttpPolicy(origins=("http://testserver",)), pace=Pace(Steps(), 0.05)).app
SIGNED = {"authorization": f"Bearer {ALL}"}
SCHEMA = schemathesis.openapi.from_asgi("/api/v1/openapi.json", APP, headers=SIGNED)


BOUND = settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@SCHEMA.parametrize()
@BOUND
def test_every_operation_does_as_its_description_says(case: schemathesis.Case) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {ALL}"})
    assert case.path in SCHEMA.raw_schema["paths"]


@pytest.mark.parametrize("token", TOKENS)
def test_every_scope_meets_every_operation_as_described(token: str) -> None:
    seen: Counter[int] = Counter()
    for operation in (result.ok() for result in SCHEMA.get_all_operations()):

        @settings(BOUND, max_examples=2, phases=[Phase.generate], database=None)
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            answer = case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, excluded_checks=DEEPER)
            seen[answer.status_code] += 1

        ask()
    assert seen[403] > 0 or token.startswith(ALL)
    assert set(seen) <= {200, 400, 403, 404, 409, 429}


def test_every_operation_but_health_says_that_it_needs_a_token() -> None:
    for path, operations in SCHEMA.raw_schema["paths"].items():
        for operation in operations.values():
            assert bool(operation.get("security")) == (path != "/api/v1/health"), path


def test_without_chat_in_policy_there_is_no_chat() -> None:
    async def run() -> list[int]:
        async with client(built(http=HttpPolicy(chat=False))) as asked:
            return [(await asked.get("/v1/models")).status_code, (await asked.get("/api/v1/health")).status_code]

    assert asyncio.run(run()) == [404, 200]
