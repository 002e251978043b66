"""The application as a whole: what it loads, tells and lets others add."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from tests.channels.over_http import built, client
from tests.channels.simulated_channel import SimulatedChannel, SimulatedDoors, simulated_policy

from bascule.channels.web.guard import guard_for
from bascule.channels.web.identity import Entrance
from bascule.channels.web.refusals import status_of
from bascule.channels.web.site import Pace, Site, routes
from bascule.core.errors import BasculeError, Malformed, NotPermitted, Tampered, Unavailable


def page(request: Request, error: BasculeError) -> Response:
    return PlainTextResponse(f"a page about {error.code}", status_of(error))


def part(app: FastAPI, site: Site) -> None:
    site.faces.put("/", page)
    site.faces.put("/api/", lambda request, error: PlainTextResponse("api", 400))

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("secret detail")


def get(path: str, **more: Any) -> httpx2.Response:
    async def run() -> httpx2.Response:
        async with client(built(parts=[part])) as asked:
            return await asked.get(path, **more)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "sent", "text", "status"),
    [
        ("/none", {}, "a page about request_path", 404),
        ("/broken", {}, "a page about internal_error", 500),
        ("/none", {"host": "evil.example"}, "a page about host_unknown", 421),
        ("/api/none", {}, "api", 400),
    ],
)
def test_each_surface_shows_refusals_in_its_own_way(path: str, sent: dict[str, str], text: str, status: int) -> None:
    answer = get(path, headers=sent)
    assert (answer.text, answer.status_code) == (text, status)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Malformed("argument_invalid", "x"), 400),
        (Malformed("agent_unknown", "x"), 404),
        (NotPermitted("grant_never", "x"), 403),
        (NotPermitted("token_refused", "x"), 401),
        (NotPermitted("approval_settled", "x"), 409),
        (NotPermitted("host_unknown", "x"), 421),
        (Unavailable("database_busy", "x"), 503),
        (Unavailable("too_many_failures", "x"), 429),
        (Unavailable("internal_error", "x"), 500),
        (Tampered("ledger_broken", "x"), 503),
    ],
)
def test_a_refusal_has_its_status(error: BasculeError, status: int) -> None:
    assert status_of(error) == status


def test_no_environment_variable_makes_it_tell_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    policy = simulated_policy()
    site = Site(SimulatedChannel(), Entrance(SimulatedDoors(), guard_for(policy.http), lambda: 0.0), policy, Pace())
    assert not routes(site, [])._native_telemetry.enabled()


def test_no_page_of_the_framework_is_served() -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"):
        assert get(path).status_code == 404


@pytest.mark.parametrize("module", ["bascule.cli.main", "bascule.app.process", "bascule.policy.compile"])
def test_nobody_pays_for_the_server_who_does_not_serve(module: str) -> None:
    look = f"import sys, {module}; print([name for name in ('fastapi', 'starlette', 'uvicorn') if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"
