"""T25: secrets of the surfaces leak.

Tokens, one-time links, cookies and codes are used as an operator uses them, well and badly; then they are looked for
wherever they must not be: in logs, the ledger, the database, command lines, what the model is told, refusals, headers and
caches. Each is first found where it does belong, so that looking for it is known to find it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.reached import ANN, CARL, EVE, Reached, reached, scripted, until
from tests.living import MAIN, Living, content, effect, verb

from bascule.core.errors import BasculeError

pytestmark = pytest.mark.live

PEEK = '#!/bin/sh\neval "$*"\n'


@dataclass(frozen=True)
class Used:
    """A house in which every secret was used, and the secrets by name."""

    house: Reached
    question: dict[str, Any]
    secrets: dict[str, str]

    @property
    def home(self) -> Path:
        return self.house.made.home

    def within(self, text: bytes | str) -> set[str]:
        """Names of the secrets that stand in a text."""
        found = text.encode() if isinstance(text, str) else text
        return {name for name, secret in self.secrets.items() if secret.encode() in found}


def furnish(made: Living) -> None:
    script = made.root() / "tools" / "peek.sh"
    script.write_text(PEEK)
    script.chmod(0o755)
    ask = {"tool": "write", "args": {"path": str(made.home.parent / "asked"), "content": "x"}}
    scripted(made, [{"say": "I ask.", "calls": [ask]}, {"say": "I was told."}, {"loop": True}])


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    with reached(tmp_path_factory.mktemp("t25"), furnish) as house:
        yield _lived(house)


def _lived(house: Reached) -> Used:
    secret = house.token("laptop", "read,approve,chat,admin")["token"]
    ended = house.token("ended")
    house.made.client.request("tokens_revoke", token=ended["id"])
    own = {"origin": f"http://127.0.0.1:{house.port}"}
    link = house.made.client.request("dashboard_link")["url"].partition("link=")[2]
    with house.http() as client:
        by_link = client.post("/sign-in", data={"link": link}, headers=own)
        by_token = client.post("/sign-in", data={"token": secret}, headers=own)
        # Badly: used up, ended, cut short, in the wrong place.
        client.post("/sign-in", data={"link": link}, headers=own)
        client.post("/sign-in", data={"token": ended["token"]}, headers=own)
        client.get(f"/sign-in?link={link}")
        client.get(f"/api/v1/me?token={secret}", headers={"x-token": secret})
        client.get("/api/v1/me", headers={"authorization": f"Basic {secret}"})
        client.get("/api/v1/me", headers={"authorization": f"Bearer {ended['token']}"})
        client.post(
            f"/api/v1/approvals/{secret}/approve", headers={"authorization": f"Bearer {secret}"}, json={"digest": link}
        )
        client.get(f"/{secret}/{link}", headers={"cookie": f"bascule_session={link}"})
    cookies = [found.headers["set-cookie"].partition(";")[0].partition("=")[2] for found in (by_link, by_token)]
    secrets = {
        "token": secret,
        "ended": ended["token"],
        "link": link,
        "cookie": cookies[0],
        "cookie of a token": cookies[1],
    }
    for event in house.made.client.stream("send", None, agent=MAIN, text="go", session=None):
        if event["event"] == "approval":
            question = dict(event["approval"])
            card = house.card(question)
            # A code said aloud where an agent might hear it: by the operator, by one who chats, by a stranger.
            house.daemon.say(ANN, f"is {question['code']} all right?")
            house.daemon.say(CARL, f"{question['code'][:4]}-{question['code'][4:]}".lower())
            house.daemon.say(EVE, question["id"])
            house.heard()
            house.daemon.say(ANN, "no", quote=house.daemon.quote(card.at))
    until(lambda: house.state(question["id"]) == "denied", "the answer")
    return Used(house, question, {**secrets, "code": question["code"]})


def test_they_are_found_where_they_belong(used: Used) -> None:
    told = "\n".join(used.house.told(ANN))
    assert "code" in used.within(told)
    with used.house.http(used.secrets["token"]) as client:
        assert client.get("/api/v1/me").json()["name"] == "laptop"
        assert used.within(client.get(f"/api/v1/approvals/{used.question['id']}").text) == {"code"}
    with used.house.http(headers={"cookie": f"bascule_session={used.secrets['cookie']}"}) as client:
        assert client.get("/tokens").status_code == 200


def test_no_file_of_the_home_holds_a_secret(used: Used) -> None:
    """But a question's code, which the gateway must be able to show: it stands in the database, which is its own."""
    files = [path for path in used.home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"bascule.db", "gateway.log"} <= {path.name for path in files}
    for path in files:
        held = used.within(path.read_bytes())
        assert held <= ({"code"} if path.name.startswith("bascule.db") else set()), path
    database = used.home / "state" / "bascule.db"
    assert (database.stat().st_mode & 0o777, database.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_ledger_and_the_lists_hold_none(used: Used) -> None:
    records = json.dumps(used.house.made.records(5000))
    assert used.question["id"] in records
    assert used.within(records) == set()
    for words in (
        ["tokens", "list"],
        ["status"],
        ["ledger", "tail"],
        ["sessions", "list"],
        ["pairing", "list"],
        ["grants", "list"],
    ):
        done = verb(used.home, *words, "--json")
        assert used.within(done.stdout + done.stderr) == set()


def test_no_command_line_and_no_environment_of_a_box_holds_one(used: Used) -> None:
    made = used.house.made
    seen = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            seen += bool(line)
            assert used.within(line) == set()
    assert seen > 3
    for words in ("set", "cat /proc/*/environ /proc/*/cmdline", "cat /proc/1/environ"):
        assert used.within(content(made.run(f"tools/peek.sh '{words}'"))) == set()


def test_the_model_is_told_none(used: Used) -> None:
    made = used.house.made
    told = [
        made.client.request("sessions_show", session=row["id"])
        for row in made.client.request("sessions_list", agent=None)
    ]
    text = json.dumps(told)
    assert "I was told." in text
    assert used.within(text) == set()
    # Nor the questions' ids, nor a code however it is written.
    assert used.question["id"] not in text
    assert used.question["code"].lower() not in text.lower().replace("-", "")
    report = made.call("write", used.house.args("told"))
    shown = used.house.show(report["approval"]["id"])
    for tool, args in (("read", {"path": "workspace"}), ("exec", {"command": "find . -newer MEMORY.md"})):
        assert shown["id"] not in content(made.call(tool, args))


def test_no_refusal_repeats_one(used: Used) -> None:
    secret, link = used.secrets["token"], used.secrets["link"]
    with used.house.http() as client:
        answers = [
            client.get(f"/{secret}"), client.get(f"/api/v1/{secret}"), client.post("/sign-in", data={"token": secret + "x"}),
            client.get("/api/v1/me", headers={"authorization": f"Bearer {secret}x"}), client.get(f"/agents/{secret}"),
            client.get(f"/api/v1/approvals/{secret}", headers={"authorization": f"Bearer {secret}"}),
            client.post("/api/v1/decisions", json={secret: link}, headers={"authorization": f"Bearer {secret}"}),
            client.get("/api/v1/me", headers={"host": f"{secret}.example"}), client.request("BREW", f"/{secret}"),
            client.get("/pending", headers={"cookie": f"bascule_session={secret}"}),
        ]  # fmt: skip
    assert all(answer.status_code >= 300 for answer in answers)
    for answer in answers:
        assert used.within(answer.text + json.dumps(dict(answer.headers))) == set()
    for request in (lambda: used.house.made.client.request("tokens_revoke", token=secret),
                    lambda: used.house.made.client.request("approvals_show", ref=secret)):  # fmt: skip
        with pytest.raises(BasculeError) as refused:
            request()
        assert used.within(str(refused.value)) == set()


def test_no_browser_keeps_shares_or_passes_one_on(used: Used) -> None:
    link = used.house.made.client.request("dashboard_link")["url"].partition("link=")[2]
    cookie = {"cookie": f"bascule_session={used.secrets['cookie']}"}
    own = {"origin": f"http://127.0.0.1:{used.house.port}"}
    with used.house.http() as client:
        before = client.get(f"/sign-in?link={link}")
        after = client.post("/sign-in", data={"link": link}, headers=own)
        pages = [
            client.get(path, headers=cookie)
            for path in ("/", "/pending", "/tokens", f"/approvals/{used.question['id']}")
        ]
        pages.append(client.get("/api/v1/approvals", headers={"authorization": f"Bearer {used.secrets['token']}"}))
        again = client.post("/sign-in", data={"link": link}, headers=own)
    assert all(page.status_code == 200 for page in pages)
    for page in (before, after, *pages):
        assert page.headers["cache-control"] == "no-store"
        # To our own pages only, and a link's secret stands in the address of a page that loads nothing of others.
        assert page.headers["referrer-policy"] in {"no-referrer", "same-origin"}
    kept = after.headers["set-cookie"].lower()
    assert all(word in kept for word in ("httponly", "samesite=strict", "path=/"))
    assert "domain=" not in kept
    assert "max-age" not in kept
    # The address the browser goes on to does not hold the link, and the link is worth nothing any more.
    assert (after.headers["location"], again.status_code) == ("/", 401)
    assert link not in after.text


KEYS = [
    "state/ledger.key",
    "state/bascule.db",
    "state/bascule.db-wal",
    "state",
    "bascule.json5",
    "run",
    "logs/gateway.log",
]


@pytest.mark.parametrize("name", KEYS)
def test_no_box_and_no_account_of_an_agent_reads_what_signs_or_keeps(used: Used, name: str) -> None:
    path, made = used.home / name, used.house.made
    assert path.exists()
    listing = ["ls", str(path)] if path.is_dir() else ["cat", str(path)]
    assert subprocess.run(listing, capture_output=True, check=False).returncode == 0
    uid = str(made.uid())
    become = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *listing]
    done = subprocess.run(become, capture_output=True, check=False)
    assert (done.returncode != 0, done.stdout) == (True, b"")
    report = made.run(" ".join(listing))
    assert effect(report) == "deny"
    inside = made.run(f"tools/peek.sh 'cat {path} /proc/*/root{path} ../../{name}; ls {path}'")
    assert effect(inside) in {"allow", "deny"}
    if inside["outcome"]:
        assert "No such file" in content(inside) or "ermission denied" in content(inside)
        assert "PRIVATE" not in content(inside)
        assert "SQLite" not in content(inside)
