"""The web as an agent of a real gateway has it: what policy names is reached, and nothing else hears a word."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.reached import until
from tests.living import Living, codes, content, effect, living, verb, with_egress

pytestmark = pytest.mark.live

WEB = "bruba-web"
KEY = "search-key-0123456789abcdef"
"""Of the search engine, in the gateway's environment."""


class Site(ThreadingHTTPServer):
    """A server on loopback that counts who connects and remembers what they ask."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.connections = 0
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.places: dict[str, str] = {}

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class Answering(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        path = self.path.partition("?")[0]
        if path in self.server.places:
            self.send_response(302)
            self.send_header("Location", self.server.places[path])
            self.end_headers()
            return
        body, kind = b"the bread is done\n", "text/plain"
        if path == "/search":
            results = [{"title": "Rye <b>bread</b>", "url": "https://bread.example/", "content": "800 g of flour"}]
            body, kind = json.dumps({"results": results}).encode(), "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


@dataclass
class Web:
    made: Living
    named: Site
    inside: Site

    def fetch(self, url: str, **options: Any) -> dict[str, Any]:
        return self.made.call("web_fetch", {"url": url}, agent=WEB, **options)

    def egress(self) -> list[dict[str, Any]]:
        return [record for record in self.made.records() if record["kind"].startswith("egress_")]


def wired(named: Site) -> Any:
    """Policy of a home whose bruba-web may reach one port of loopback, boxed by bubblewrap."""
    section = {
        "agents": {
            WEB: {
                "allow": ["example.org"],
                "allowPrivate": [f"127.0.0.1:{named.port}", f"localhost:{named.port}"],
                "search": {
                    "provider": "searxng",
                    "url": named.at(""),
                    "keyHeader": "X-Key",
                    "keyEnv": "SEARCH_API_KEY",
                },
            }
        }
    }

    def edit(text: str) -> str:
        return with_egress(text, section).replace('backend: "docker",', 'backend: "bubblewrap",', 1)

    return lambda made: made.change("bascule.json5", edit)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with tempfile.TemporaryDirectory(prefix="web-") as name, serving() as named, serving() as inside:
        Path(name).chmod(0o755)
        with living(Path(name) / "home", wired(named), SEARCH_API_KEY=KEY) as made:
            yield Web(made, named, inside)


def test_what_policy_names_is_fetched_recorded_and_untrusted(web: Web) -> None:
    before = len(web.egress())
    report = web.fetch(web.named.at("/bread"))
    assert effect(report) == "allow", report["decision"]
    assert "the bread is done" in content(report)
    label = report["outcome"]["label"]
    assert (label["integrity"], "web:127.0.0.1" in label["sources"]) == ("untrusted", True)
    opened, closed = web.egress()[before:]
    assert (opened["kind"], closed["kind"]) == ("egress_opened", "egress_closed")
    assert opened["body"]["target"] == web.named.at("/bread")
    assert closed["body"]["parent"] == opened["seq"]
    begun = next(record for record in web.made.records() if record["seq"] == opened["body"]["parent"])
    assert (begun["kind"], begun["body"]["tool"]) == ("started", "web_fetch")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::1]", "0.0.0.0", "2130706433", "evil.example"])
def test_what_policy_does_not_name_hears_nothing(web: Web, host: str) -> None:
    before = web.inside.connections
    report = web.fetch(f"http://{host}:{web.inside.port}/secret?carried=away")
    assert (effect(report), report["outcome"]) == ("deny", None)
    assert web.inside.connections == before
    assert content(web.fetch(web.named.at("/bread")))  # the same agent, the same way, where policy leads
    if host in {"127.0.0.1", "localhost", "127.1", "0.0.0.0", "2130706433"}:
        socket.create_connection((host, web.inside.port), timeout=5).close()  # so does whoever has no gateway before it
        until(lambda: web.inside.connections == before + 1, "the connection of a plain program")


@pytest.mark.parametrize("place", ["http://127.0.0.1:{inside}/", "//localhost:{inside}/x", "http://169.254.169.254/"])
def test_a_redirect_inside_is_refused_and_stands_in_the_ledger(web: Web, place: str) -> None:
    before = web.inside.connections
    web.named.places["/away"] = place.format(inside=web.inside.port)
    report = web.fetch(web.named.at("/away"))
    assert report["outcome"]["ok"] is False
    assert web.inside.connections == before
    last = web.egress()[-1]
    assert last["kind"] in {"egress_refused", "egress_closed"}
    web.named.places["/away"] = web.named.at("/bread")
    assert "the bread is done" in content(web.fetch(web.named.at("/away")))


def test_a_search_asks_where_policy_says_with_a_key_that_nobody_sees(web: Web) -> None:
    report = web.made.call("web_search", {"query": "rye & bread"}, agent=WEB)
    assert effect(report) == "allow", report["decision"]
    assert content(report) == "Rye bread\nhttps://bread.example/\n800 g of flour\n"
    assert report["outcome"]["label"]["integrity"] == "untrusted"
    path, headers = web.named.asked[-1]
    assert path == "/search?q=rye%20%26%20bread&format=json"
    assert headers["x-key"] == KEY
    assert KEY not in json.dumps(web.made.records())
    assert KEY not in (web.made.home / "logs" / "gateway.log").read_text()
    assert all(KEY.encode() not in each.read_bytes() for each in (web.made.home / "state").iterdir() if each.is_file())


def test_the_other_agents_have_no_web(web: Web) -> None:
    before = web.named.connections
    assert effect(web.made.call("web_fetch", {"url": web.named.at("/")})) == "deny"
    assert web.named.connections == before


def test_a_contained_agent_fetches_nothing(web: Web) -> None:
    assert verb(web.made.home, "contain", WEB, "--reason", "odd pages").returncode == 0
    before = web.named.connections
    assert codes(web.fetch(web.named.at("/bread"))) == {"contained"}
    assert web.named.connections == before
    assert verb(web.made.home, "release", WEB).returncode == 0
    assert "the bread is done" in content(web.fetch(web.named.at("/bread")))
