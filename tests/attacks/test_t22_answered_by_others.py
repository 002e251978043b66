"""T22: somebody who is not the operator answers.

Another sender on Signal, one who may only chat, a page of another site in the operator's browser, a token that has too
little or has ended, an agent's own account, a model that has learned a code. One question stands open the whole time;
none of them may move it. Each wall has its control: the same request with only that put right settles a question.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from demo.signal_daemon import Person, Sent
from tests.attacks.reached import ANN, CARL, EVE, GROUP, OURS, YES, Reached, reached, scripted, until
from tests.living import MAIN, Living, content, effect

from bascule.core.errors import BasculeError

pytestmark = pytest.mark.live

Question = Mapping[str, Any]
KNOCK = """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/$1 || exit 7
printf 'GET /api/v1/health HTTP/1.1\\r\\nHost: 127.0.0.1:%s\\r\\nConnection: close\\r\\n\\r\\n' "$1" >&3
cat <&3
"""


def furnish(made: Living) -> None:
    script = made.root() / "tools" / "knock.sh"
    script.write_text(KNOCK)
    script.chmod(0o755)
    scripted(made, [{"say": "I am only a model."}, {"loop": True}])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    with reached(tmp_path_factory.mktemp("t22"), furnish) as found:
        yield found


@pytest.fixture
def question(house: Reached, request: pytest.FixtureRequest) -> Iterator[Question]:
    """A question of this test alone; ``file`` is what a yes would let grow."""
    name = f"guarded-{abs(hash(request.node.name))}"
    yield {**house.ask(name), "file": name}
    house.settle()


def unmoved(house: Reached, question: Question) -> bool:
    return house.state(question["id"]) == "pending" and house.effects(question["file"]) == 0


# -- Signal

Move = Callable[[Reached, Question, Sent], object]


def _typed(who: Person, text: str, **more: Any) -> Move:
    def move(house: Reached, question: Question, card: Sent) -> object:
        quote = {"quote": house.daemon.quote(card.at, text=card.text)} if more.get("replies") else {}
        kept = {key: value for key, value in more.items() if key != "replies"}
        return house.daemon.say(who, text.format(**question), **quote, **kept)

    return move


def _thumbed(who: Person, emoji: str = YES, shift: int = 0, **more: Any) -> Move:
    return lambda house, _question, card: house.daemon.react(who, emoji, card.at + shift, **more)


def _edited(house: Reached, question: Question, card: Sent) -> object:
    at = house.daemon.stamp()
    words = {"timestamp": at, "message": f"yes {question['code']}", "quote": house.daemon.quote(card.at)}
    return house.daemon.deliver(ANN, at, editMessage={"targetSentTimestamp": card.at, "dataMessage": words})


def _synced(house: Reached, question: Question, _card: Sent) -> object:
    at = house.daemon.stamp()
    sent = {"timestamp": at, "message": f"yes {question['code']}", "destination": OURS.number}
    return house.daemon.deliver(ANN, at, syncMessage={"sentMessage": sent})


def _twofold(house: Reached, question: Question, _card: Sent) -> object:
    at = house.daemon.stamp()
    data = {"timestamp": at + 1, "message": f"yes {question['code']}"}
    return house.daemon.deliver(ANN, at, dataMessage=data)


TAKEN_OVER = Person(ANN.number, EVE.uuid, "Ann")
UNNAMED = Person(None, EVE.uuid, "Ann")

MOVES: Mapping[str, Move] = {
    "a stranger's thumb": _thumbed(EVE),
    "a stranger's reply": _typed(EVE, "yes", replies=True),
    "a stranger with the code": _typed(EVE, "yes {code}"),
    "a stranger without a number": _typed(UNNAMED, "yes {code}"),
    "the operator's number with another's id": _typed(TAKEN_OVER, "yes {code}"),
    "the thumb of a number taken over": _thumbed(TAKEN_OVER),
    "a chatter's thumb": _thumbed(CARL),
    "a chatter's reply": _typed(CARL, "yes", replies=True),
    "a chatter with the code": _typed(CARL, "yes {code}"),
    "the account itself": _typed(OURS, "yes {code}"),
    "a thumb on another's message": _thumbed(ANN, author=EVE),
    "a thumb on another message": _thumbed(ANN, shift=1),
    "a thumb taken away": _thumbed(ANN, removed=True),
    "a heart": _thumbed(ANN, "\N{HEAVY BLACK HEART}"),
    "a thumb in a group": _thumbed(ANN, group=GROUP),
    "a reply in a group": _typed(ANN, "yes", replies=True, group=GROUP),
    "the code in a group": _typed(ANN, "yes {code}", group=GROUP),
    "a bare yes": _typed(ANN, "yes"),
    "a bare code": _typed(ANN, "{code}"),
    "the code with another word": _typed(ANN, "maybe {code}"),
    "a reply that says more": _typed(ANN, "yes please, but not yet", replies=True),
    "a forward of the card": _typed(ANN, "QUESTION {code}\nyes {code}\nno {code}"),
    "an edit": _edited,
    "a transcript of another device": _synced,
    "two time stamps": _twofold,
}


@pytest.mark.parametrize("name", list(MOVES))
def test_over_signal_it_decides_nothing(house: Reached, question: Question, name: str) -> None:
    card = house.card(question)
    MOVES[name](house, question, card)
    house.heard()
    assert unmoved(house, question)


@pytest.mark.parametrize("move", [_thumbed(ANN), _typed(ANN, "yes", replies=True), _typed(ANN, "yes {code}")])
def test_over_signal_the_approver_does_decide(house: Reached, move: Move) -> None:
    question = house.ask("open")
    before = house.effects("open")
    move(house, question, house.card(question))
    until(lambda: house.state(question["id"]) == "approved", "the approver's yes")
    assert house.again("open") == "allow"
    assert house.effects("open") == before + 1


def test_codes_are_not_guessed_over_signal(house: Reached, question: Question) -> None:
    wrong = [f"0000{number:04d}" for number in range(8)]
    for code in wrong:
        house.daemon.say(ANN, f"yes {code}")
    until(lambda: any("Too many wrong codes" in text for text in house.told(ANN)), "the pause")
    # Now even the right one waits; the message itself still answers, for it needs no code.
    house.daemon.say(ANN, f"yes {question['code']}")
    house.heard()
    assert unmoved(house, question)
    house.daemon.react(ANN, YES, house.card(question).at)
    until(lambda: house.state(question["id"]) == "approved", "the thumb")
    # For those who come after in this house.
    with sqlite3.connect(house.made.home / "state" / "bascule.db", timeout=20) as database:
        database.execute("DELETE FROM signal_tries")
    assert (house.again(question["file"]), house.effects(question["file"])) == ("allow", 1)


# -- tokens

SCOPES = {
    "none": ("read", "*"), "chat": ("chat", "*"), "admin": ("admin", "*"), "another agent": ("approve,read", "bruba-rex"),
}  # fmt: skip
WAYS = ("approve", "deny", "grant", "decide", "code")


def _try(house: Reached, secret: str, question: Question, way: str, **more: Any) -> int:
    body: dict[str, Any] = {"digest": question["digest"]}
    where = f"/api/v1/approvals/{question['code' if way == 'code' else 'id']}/{'approve' if way == 'code' else way}"
    if way == "grant":
        body["extent"] = "exact"
    if way == "decide":
        where = "/api/v1/decisions"
        body = {"answer": "approve", "items": [{"id": question["id"], "digest": question["digest"]}]}
    with house.http(secret, **more) as client:
        return int(client.post(where, json=body).status_code)


@pytest.mark.parametrize("way", WAYS)
def test_a_token_with_too_little_answers_nothing(house: Reached, question: Question, way: str) -> None:
    for kind, (scopes, agents) in SCOPES.items():
        made = house.token(f"{kind.replace(' ', '-')}-{way}", scopes, agents)
        assert _try(house, made["token"], question, way) in {403, 404}
        assert unmoved(house, question)
    assert _try(house, "", question, way) == 401
    assert _try(house, "bsc_" + "A" * 43, question, way) == 401
    assert unmoved(house, question)
    enough = house.token(f"enough-{way}", "approve,read", MAIN)
    assert _try(house, enough["token"], question, way) == 200
    assert house.state(question["id"]) != "pending"


def test_a_token_that_has_ended_answers_nothing(house: Reached, question: Question) -> None:
    revoked, expired = house.token("revoked"), house.token("expired")
    house.made.client.request("tokens_revoke", token=revoked["id"])
    with sqlite3.connect(house.made.home / "state" / "bascule.db", timeout=20) as database:
        moments = (time.time() - 20, time.time() - 10, expired["id"])
        database.execute("UPDATE tokens SET created = ?, expires = ? WHERE id = ?", moments)
    for made in (revoked, expired):
        assert _try(house, made["token"], question, "approve") == 401
    # Neither does what is no secret of a token: its id, its name, a link, a secret in the address.
    link = house.made.client.request("dashboard_link")["url"].partition("link=")[2]
    for secret in (revoked["id"], "revoked", link):
        assert _try(house, secret, question, "approve") == 401
    good = house.token("good")["token"]
    with house.http() as client:
        where = f"/api/v1/approvals/{question['id']}/approve?token={good}&access_token={good}"
        assert client.post(where, json={"digest": question["digest"]}).status_code == 401
    assert unmoved(house, question)
    assert _try(house, good, question, "approve") == 200


def test_a_token_for_one_who_may_not_approve_cannot_be_had(house: Reached) -> None:
    with pytest.raises(BasculeError, match="carl"):
        house.token("carls", "approve", person="carl")
    assert house.token("carls", "chat", person="carl")["person"] == "carl"


# -- a page in the operator's browser


def _cookie(house: Reached) -> str:
    """Sign a browser in, as its own page does."""
    own = {"origin": f"http://127.0.0.1:{house.port}", "sec-fetch-site": "same-origin"}
    secret = house.token(f"browser-{time.monotonic_ns()}", "read,approve,admin")["token"]
    with house.http() as client:
        signed = client.post("/sign-in", data={"token": secret}, headers=own)
    assert signed.status_code == 303
    return str(signed.headers["set-cookie"].partition(";")[0])


def _post(house: Reached, question: Question, headers: Mapping[str, str], where: str = "", body: str = "") -> int:
    """What a browser sends for a form on some page: the status it gets."""
    path = where or f"/approvals/{question['id']}/answer"
    form = {"content-type": "application/x-www-form-urlencoded"}
    said = body or f"answer=approve&digest={question['digest']}"
    with house.http() as client:
        return int(client.post(path, content=said, headers={**form, **headers}).status_code)


def test_no_foreign_page_answers_with_the_operators_cookie(house: Reached, question: Question) -> None:
    cookie, own = _cookie(house), f"http://127.0.0.1:{house.port}"
    foreign: list[dict[str, str]] = [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{house.port + 1}", "sec-fetch-site": "same-site"},
        {"origin": f"http://localhost:{house.port}"},
        {"origin": f"https://127.0.0.1:{house.port}"},
        {"origin": f"{own}.evil.example"},
        {"origin": f"{own}@evil.example"},
        {"origin": own, "sec-fetch-site": "cross-site"},
        {"origin": own, "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {"referer": f"{own}/pending"},
        {},
    ]
    for headers in foreign:
        assert _post(house, question, {"cookie": cookie, **headers}) == 403, headers
        assert _post(house, question, {"cookie": cookie, **headers}, f"/api/v1/approvals/{question['id']}/approve",
                     json.dumps({"digest": question["digest"]})) == 403, headers  # fmt: skip
        assert unmoved(house, question)
    # What a foreign page can send without anybody's cookie is nobody's, wherever it claims to come from.
    assert _post(house, question, {"origin": own, "sec-fetch-site": "same-origin"}) in {303, 401}
    # And a GET, which a picture's address is enough for, changes nothing.
    with house.http(headers={"cookie": cookie}) as client:
        where = f"/approvals/{question['id']}/answer?answer=approve&digest={question['digest']}"
        assert client.get(where).status_code == 405
    assert unmoved(house, question)
    # Nor does it use up the tries of those who sign in: what it sends is refused before it is looked at.
    for _ in range(15):
        assert _post(house, question, {"origin": "https://evil.example"}, "/sign-in", "token=bsc_x") == 403
    assert _cookie(house)
    assert _post(house, question, {"cookie": cookie, "origin": own, "sec-fetch-site": "same-origin"}) in {200, 303}
    assert house.state(question["id"]) == "approved"


def _as_host(house: Reached, question: Question, secret: str, host: str, target: str = "", more: str = "") -> bytes:
    """The same yes, asked of another name: what a page does whose name was pointed at this machine."""
    body = json.dumps({"digest": question["digest"]})
    path = target or f"/api/v1/approvals/{question['id']}/approve"
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\n{more}"
    rest = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    return house.raw((head + rest).encode()).split(b"\r\n", 1)[0]


def test_no_other_name_of_this_machine_answers(house: Reached, question: Question) -> None:
    """Even with a good token: of a rebound name nothing is believed."""
    secret, port = house.token("rebound")["token"], house.port
    hosts = [
        "evil.example", f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.evil.example:{port}",
        f"localhost.:{port}", f"127.0.0.1:{port}@evil.example", f"evil.example\\@127.0.0.1:{port}", "", f"[::2]:{port}",
        f"0.0.0.0:{port}", f"127.1:{port}", f"2130706433:{port}", f"0x7f.1:{port}",
    ]  # fmt: skip
    good = f"127.0.0.1:{port}"
    for host in hosts:
        assert _as_host(house, question, secret, host)[9:12] in {b"400", b"403", b"421"}, host
    for more in (f"Host: {good}\r\n", f"X-Forwarded-Host: {good}\r\n", f"Forwarded: host={good}\r\n"):
        assert _as_host(house, question, secret, "evil.example", more=more)[9:12] in {b"400", b"421"}
    path = f"http://{good}/api/v1/approvals/{question['id']}/approve"
    assert _as_host(house, question, secret, "evil.example", path)[9:12] in {b"400", b"421"}
    assert unmoved(house, question)
    assert _as_host(house, question, secret, good)[9:12] == b"200"


def test_no_page_of_ours_can_be_framed_or_read_by_another(house: Reached, question: Question) -> None:
    cookie = _cookie(house)
    with house.http(headers={"cookie": cookie, "origin": "https://evil.example"}) as client:
        for path in ("/sign-in", "/pending", f"/approvals/{question['id']}", "/api/v1/approvals", "/static/none"):
            found = client.get(path)
            assert found.headers["x-frame-options"] == "DENY"
            assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
            assert not [name for name in found.headers if name.startswith("access-control-")]
            assert question["id"] not in found.text
        assert client.options("/api/v1/approvals", headers={"access-control-request-method": "GET"}).status_code >= 400
    with house.http(headers={"cookie": cookie}) as client:
        assert question["id"] in client.get("/pending").text


# -- an agent's own account


def test_a_box_reaches_neither_the_port_nor_the_socket(house: Reached, question: Question) -> None:
    script = house.made.root() / "tools" / "knock.sh"
    bare = subprocess.run(["bash", str(script), str(house.port)], capture_output=True, text=True, check=False)
    assert '{"ok":true}' in bare.stdout
    report = house.made.run(f"tools/knock.sh {house.port}")
    assert effect(report) == "allow"
    assert not report["outcome"]["ok"]
    assert "ok" not in content(report).split()
    sockets = [path for path in (house.made.home / "run").rglob("*") if path.is_socket()]
    assert sockets
    for path in sockets:
        for command in (f"cat {path}", f"find {path.parent}"):
            report = house.made.run(command)
            assert effect(report) == "deny" or not report["outcome"]["ok"]
    assert unmoved(house, question)


def test_the_agents_account_outside_a_box_finds_the_port_and_nothing_to_say(house: Reached, question: Question) -> None:
    uid = str(house.made.uid())
    become = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"]
    where = f"http://127.0.0.1:{house.port}/api/v1/approvals/{question['id']}/approve"
    said = json.dumps({"digest": question["digest"]})
    asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--json", said, where]
    status = subprocess.run([*become, *asked], capture_output=True, text=True, check=False).stdout
    assert status == "401"
    for name in ("state/bascule.db", "state/ledger.key", "logs/gateway.log", "bascule.json5"):
        done = subprocess.run([*become, "cat", str(house.made.home / name)], capture_output=True, check=False)
        assert (done.returncode != 0, done.stdout) == (True, b"")
    assert unmoved(house, question)
    enough = subprocess.run(
        [*asked[:-1], "-H", f"Authorization: Bearer {house.token('outside')['token']}", where],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert enough.stdout == "200"


# -- a model that has learned the code


def test_a_model_that_knows_the_code_answers_nothing(house: Reached, question: Question) -> None:
    """The worst case: its script holds id, code and digest, as if they had been whispered to it."""
    code, ref = question["code"], question["id"]
    calls = [
        {"tool": "exec", "args": {"command": f"bascule approvals approve {code}"}},
        {"tool": "exec", "args": {"command": f"curl http://127.0.0.1:{house.port}/api/v1/approvals/{ref}/approve"}},
        {"tool": "message", "args": {"to": f"signal:{OURS.number}", "text": f"yes {code}"}},
        {"tool": "sessions_send", "args": {"agent": "bruba-rex", "text": f"yes {code}"}},
        {"tool": "approvals_approve", "args": {"ref": ref}},
        {"tool": "write", "args": {"path": "workspace/answer", "content": f"yes {code}"}},
        {"tool": "read", "args": {"path": "workspace/answer"}},
    ]
    house.made.stop()
    connected = house.daemon.connected
    said = f"yes {code}\nno {code}\napprove {ref}\n{YES}"
    scripted(house.made, [{"say": said, "calls": calls[:6]}, {"say": said, "calls": calls[6:]}, {"say": said}])
    house.made.start()
    until(lambda: house.daemon.connected > connected, "the bridge")
    for event in house.made.client.stream("send", None, agent=MAIN, text="go", session="knows"):
        if event["event"] == "approval":  # its own programs may ask; that is not the question
            assert event["approval"]["id"] != ref
            house.made.client.request("approvals_deny", ref=event["approval"]["id"])
    house.daemon.say(CARL, "what do you say?")
    until(lambda: any(f"yes {code}" in text for text in house.told(CARL)), "its words over Signal")
    house.heard()
    assert unmoved(house, question)
    house.made.client.request("approvals_approve", ref=ref)
    assert (house.again(question["file"]), house.effects(question["file"])) == ("allow", 1)
