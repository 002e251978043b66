"""Who asks, and how often they may be wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from tests.channels.over_http import ALL, built, client
from tests.channels.simulated_channel import SimulatedDoors

from bascule.channels.web.dependencies import site_of
from bascule.channels.web.identity import forget_session, keep_session, requires
from bascule.channels.web.limits import FAILURES, REQUESTS
from bascule.channels.web.site import Pace, Site
from bascule.core.surfaces import HttpPolicy


def part(app: FastAPI, site: Site) -> None:
    @app.api_route("/who", methods=["GET", "POST"])
    async def who(request: Request) -> dict[str, Any]:
        principal = await requires(site.entrance)(request)
        return {"name": principal.name}

    @app.get("/read")
    async def read(request: Request) -> dict[str, Any]:
        return {"name": (await requires(site.entrance, "read", "admin")(request)).name}

    @app.post("/in")
    async def come(request: Request) -> Response:
        entrance = site_of(request).entrance
        secret = await entrance.sign_in(request, (await request.json())["token"])
        response = Response()
        keep_session(request, response, secret)
        return response

    @app.post("/link")
    async def link(request: Request) -> dict[str, str]:
        return {"secret": await site.entrance.redeem(request, (await request.json())["link"])}

    @app.post("/out")
    async def out(request: Request) -> Response:
        await site.entrance.leave(request)
        response = Response()
        forget_session(request, response)
        return response


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(
    body: Callable[[httpx2.AsyncClient], Coroutine[Any, Any, Any]],
    doors: SimulatedDoors | None = None,
    http: HttpPolicy | None = None,
    clock: Clock | None = None,
    token: str = "",
) -> Any:
    async def inner() -> Any:
        pace = Pace(Clock() if clock is None else clock)
        async with client(built(doors=doors, http=http, parts=[part], pace=pace), token) as asked:
            return await body(asked)

    return asyncio.run(inner())


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({}, 401, "token_missing"),
        ({"authorization": f"Bearer {ALL}"}, 200, ""),
        ({"authorization": f"bearer  {ALL}"}, 200, ""),
        ({"authorization": ALL}, 401, "token_refused"),
        ({"authorization": "Bearer nope"}, 401, "token_refused"),
        ({"authorization": "Bearer "}, 401, "token_refused"),
        ({"authorization": f"Bearer {ALL} x"}, 401, "token_refused"),
        ({"authorization": "Bearer " + "x" * 600}, 401, "token_refused"),
        ({"authorization": f"Basic {ALL}"}, 401, "token_refused"),
        ({"cookie": "bascule_session=nope"}, 401, "session_refused"),
        ({"cookie": "bascule_session="}, 401, "token_missing"),
        ({"cookie": f"bascule_session={ALL}"}, 401, "session_refused"),
        ({"cookie": "other=1"}, 401, "token_missing"),
        ({"x-forwarded-user": "pat", "tailscale-user-login": "pat@example"}, 401, "token_missing"),
    ],
)
def test_what_lets_in(sent: dict[str, str], status: int, code: str) -> None:
    answer = run(lambda asked: asked.get("/who", headers=sent))
    assert answer.status_code == status
    if code:
        assert answer.json()["error"]["code"] == code
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_two_authorizations_are_none_and_only_one_door_is_tried() -> None:
    doors = SimulatedDoors()
    pairs = [("authorization", f"Bearer {ALL}"), ("authorization", "Bearer nope")]
    assert run(lambda asked: asked.get("/who", headers=pairs), doors).status_code == 401
    doors.sessions["good"] = doors.tokens[ALL]
    both = {"authorization": "Bearer nope", "cookie": "bascule_session=good"}
    assert run(lambda asked: asked.get("/who", headers=both), doors).status_code == 401
    assert "good" not in doors.tried


def test_scopes_are_needed() -> None:
    assert run(lambda asked: asked.get("/read"), token="tok-read").json() == {"name": "tok-read"}
    assert run(lambda asked: asked.get("/read"), token="tok-admin").status_code == 200
    refused = run(lambda asked: asked.get("/read"), token="tok-chat")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_missing")


def test_a_browser_signs_in_is_known_and_leaves() -> None:
    async def body(asked: httpx2.AsyncClient) -> tuple[str, list[int]]:
        found = await asked.post("/in", json={"token": ALL}, headers={"origin": "http://127.0.0.1:18789"})
        cookie = found.headers["set-cookie"]
        asked.cookies.clear()
        sent = {"cookie": cookie.partition(";")[0]}
        statuses = [(await asked.get("/who", headers=sent)).status_code]
        statuses.append((await asked.post("/who", headers=sent)).status_code)
        own = sent | {"origin": "http://127.0.0.1:18789"}
        statuses.append((await asked.post("/who", headers=own)).status_code)
        evil = sent | {"origin": "http://127.0.0.1:3000"}
        statuses.append((await asked.get("/who", headers=evil)).status_code)
        gone = await asked.post("/out", headers=own)
        assert 'bascule_session=""' in gone.headers["set-cookie"]
        statuses.append((await asked.get("/who", headers=sent)).status_code)
        return cookie, statuses

    cookie, statuses = run(body)
    assert statuses == [200, 403, 200, 403, 401]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"httponly", "samesite=strict", "path=/"}


def test_over_https_the_cookie_is_bound_to_this_host_and_to_https() -> None:
    async def body(asked: httpx2.AsyncClient) -> tuple[str, int, int]:
        own = {"host": "a.example", "origin": "https://a.example"}
        found = await asked.post("/in", json={"token": ALL}, headers=own)
        asked.cookies.clear()
        secret = found.headers["set-cookie"].partition(";")[0].partition("=")[2]
        plain = await asked.get("/who", headers={"host": "a.example", "cookie": f"bascule_session={secret}"})
        right = await asked.get("/who", headers={"host": "a.example", "cookie": f"__Host-bascule_session={secret}"})
        return found.headers["set-cookie"], plain.status_code, right.status_code

    cookie, plain, right = run(body, http=HttpPolicy(origins=("https://a.example",)))
    assert cookie.startswith("__Host-bascule_session=session-0;")
    assert {"secure", "httponly", "samesite=strict", "path=/"} == {
        each.strip().lower() for each in cookie.split(";")[1:]
    }
    assert (plain, right) == (401, 200)


def test_two_cookies_of_the_name_are_none() -> None:
    doors = SimulatedDoors()
    doors.sessions["good"] = doors.tokens[ALL]
    for cookie in ("bascule_session=good; bascule_session=evil", "bascule_session=evil; bascule_session=good"):
        assert run(lambda asked, c=cookie: asked.get("/who", headers={"cookie": c}), doors).status_code == 401
    assert (
        run(lambda asked: asked.get("/who", headers={"cookie": "a=b; bascule_session=good"}), doors).status_code == 200
    )


def test_guesses_are_slowed_the_right_token_included_and_nobody_else_is() -> None:
    doors, clock = SimulatedDoors(), Clock()
    listed = HttpPolicy(proxies=("127.0.0.1/32",))

    async def body(asked: httpx2.AsyncClient) -> list[int]:
        def guess(token: str, address: str = "203.0.113.1") -> Any:
            return asked.get("/who", headers={"authorization": f"Bearer {token}", "x-forwarded-for": address})

        statuses = [(await guess(f"wrong{number}")).status_code for number in range(int(FAILURES.burst) + 1)]
        assert set(statuses) == {401}
        tried = len(doors.tried)
        shut = await guess(ALL)
        assert (shut.status_code, shut.json()["error"]["code"]) == (429, "too_many_failures")
        assert int(shut.headers["retry-after"]) >= 1
        assert (
            await asked.post("/in", json={"token": ALL}, headers={"x-forwarded-for": "203.0.113.1"})
        ).status_code == 429
        assert len(doors.tried) == tried
        other = await guess(ALL, "203.0.113.2")
        clock.now += int(shut.headers["retry-after"])
        return [shut.status_code, other.status_code, (await guess(ALL)).status_code]

    assert run(body, doors, listed, clock) == [429, 200, 200]


def test_loopback_is_not_excepted_and_claims_of_another_address_do_not_help() -> None:
    async def body(asked: httpx2.AsyncClient) -> int:
        for number in range(int(FAILURES.burst) + 1):
            forged = {"authorization": "Bearer wrong", "x-forwarded-for": f"203.0.113.{number}"}
            assert (await asked.get("/who", headers=forged)).status_code == 401
        return (await asked.get("/who", headers={"authorization": f"Bearer {ALL}"})).status_code

    assert run(body) == 429


def test_links_and_tokens_are_guessed_from_one_purse() -> None:
    doors = SimulatedDoors()
    doors.links.add("right")

    async def body(asked: httpx2.AsyncClient) -> list[int]:
        first = (await asked.post("/link", json={"link": "right"})).status_code
        for _ in range(int(FAILURES.burst) + 1):
            assert (await asked.post("/link", json={"link": "right"})).status_code == 401
        return [first, (await asked.post("/in", json={"token": ALL})).status_code]

    assert run(body, doors) == [200, 429]


def test_a_signed_in_browser_is_never_shut_out_by_others_guesses() -> None:
    doors = SimulatedDoors()
    doors.sessions["good"] = doors.tokens[ALL]

    async def body(asked: httpx2.AsyncClient) -> tuple[set[int], int]:
        guesses = [await asked.get("/who", headers={"cookie": f"bascule_session=x{number}"}) for number in range(15)]
        await asked.get("/who", headers={"authorization": "Bearer wrong"})
        good = await asked.get("/who", headers={"cookie": "bascule_session=good"})
        return {guess.status_code for guess in guesses}, good.status_code

    assert run(body, doors) == ({401, 429}, 200)


def test_one_token_has_a_pace() -> None:
    async def body(asked: httpx2.AsyncClient) -> list[int]:
        return [(await asked.get("/who")).status_code for _ in range(int(REQUESTS.burst) + 1)]

    statuses = run(body, token=ALL)
    assert set(statuses[:-1]) == {200}
    assert statuses[-1] == 429
