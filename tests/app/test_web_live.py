"""The web as an agent of a real gateway has it: what policy names is reached, and nothing else hears a word."""

from __future__ import annotations

import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.reached import until
from tests.egress.certificates import pair
from tests.living import MAIN, Living, codes, content, effect, living, verb, with_egress

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
        self.waiting = threading.Event()

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
        if path == "/slow":
            self.server.waiting.set()
            self.rfile.read(1)
            return
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
def serving(trust: ssl.SSLContext | None = None) -> Iterator[Site]:
    site = Site()
    if trust is not None:
        site.socket = trust.wrap_socket(site.socket, server_side=True, do_handshake_on_connect=False)
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
    safe: Site
    false: Site

    def fetch(self, url: str, **options: Any) -> dict[str, Any]:
        return self.made.call("web_fetch", {"url": url}, agent=WEB, **options)

    def egress(self) -> list[dict[str, Any]]:
        return [record for record in self.made.records() if record["kind"].startswith("egress_")]


def wired(named: Site, *more: Site) -> Callable[[Living], None]:
    """A home where bruba-web's tools and bruba-main's programs may reach one port of loopback."""
    search = {"provider": "searxng", "url": named.at(""), "keyHeader": "X-Key", "keyEnv": "SEARCH_API_KEY"}
    places = [f"127.0.0.1:{named.port}", *(f"localhost:{site.port}" for site in (named, *more))]
    section = {
        "agents": {
            WEB: {"allow": ["example.org"], "allowPrivate": places, "search": search},
            MAIN: {"allowPrivate": places},
        }
    }

    def edit(text: str) -> str:
        text = with_egress(text, section).replace('backend: "docker",', 'backend: "bubblewrap",', 1)
        return text.replace(f'id: "{MAIN}",', f'id: "{MAIN}", sandbox: {{ network: "proxy" }},', 1)

    def prepare(made: Living) -> None:
        made.change("bascule.json5", edit)
        made.change(
            "exec-approvals.json", lambda text: text.replace('"/bin/ls"', '"/usr/bin/curl" }, { "pattern": "/bin/ls"')
        )

    return prepare


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="web-")))
        top.chmod(0o755)
        certificate, key = pair.__wrapped__("localhost")
        (top / "ca.pem").write_bytes(certificate)
        contexts = (None, None, presenting(certificate, key), presenting(*pair.__wrapped__("localhost")))
        named, inside, safe, false = (stack.enter_context(serving(context)) for context in contexts)
        environment = {"SEARCH_API_KEY": KEY, "SSL_CERT_FILE": str(top / "ca.pem")}
        made = stack.enter_context(living(top / "home", wired(named, safe, false), **environment))
        yield Web(made, named, inside, safe, false)


def presenting(certificate: bytes, key: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


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
    assert f"GET {web.named.at('/bread')}" in (opened["summary"], closed["summary"].removesuffix(" ok"))
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


def test_a_program_reaches_through_its_proxy_what_policy_names_and_nothing_else(web: Web) -> None:
    before = len(web.egress())
    assert content(web.made.run(f"curl -sS {web.named.at('/bread')}")) == "the bread is done\n"
    opened, closed = web.egress()[before:]
    assert (opened["body"]["via"], opened["body"]["target"]) == ("proxy", web.named.at("/bread"))
    assert (closed["kind"], closed["body"]["code"]) == ("egress_closed", "ok")
    begun = next(record for record in web.made.records() if record["seq"] == opened["body"]["parent"])
    assert (begun["kind"], begun["body"]["tool"]) == ("started", "exec")
    came = web.inside.connections
    for place in (web.inside.at("/"), f"http://localhost:{web.inside.port}/", "http://169.254.169.254/latest"):
        for how in ("", "--noproxy '*' ", "--proxytunnel "):
            refused = web.made.run(f"curl -sS -f -m 10 {how}{place}")
            assert refused["outcome"]["ok"] is False, (how, place)
    assert web.inside.connections == came
    assert {record["kind"] for record in web.egress()[before + 2 :]} == {"egress_refused"}


def test_an_agent_without_a_network_has_no_proxy_either(web: Web) -> None:
    came = web.named.connections
    for how in ("", "-x http://127.0.0.1:3128 "):
        asked = web.made.run(f"curl -sS -f -m 10 {how}{web.named.at('/bread')}", agent="bruba-guru")
        assert asked["outcome"]["ok"] is False
    assert web.named.connections == came


def test_containing_an_agent_cuts_what_its_program_has_open(web: Web) -> None:
    ended: list[str] = []

    def ask() -> None:
        done = verb(web.made.home, "call", MAIN, "exec", json.dumps({"command": f"curl -sS {web.named.at('/slow')}"}))
        ended.append(done.stdout)

    asking = threading.Thread(target=ask)
    asking.start()
    assert web.named.waiting.wait(20)
    assert verb(web.made.home, "contain", MAIN, "--reason", "odd words").returncode == 0
    asking.join(20)
    assert len(ended) == 1
    last = web.egress()[-1]
    assert (last["kind"], last["body"]["code"]) == ("egress_closed", "cancelled")
    assert verb(web.made.home, "release", MAIN).returncode == 0
    assert content(web.made.run(f"curl -sS {web.named.at('/bread')}")) == "the bread is done\n"


def test_stopping_the_gateway_cuts_what_is_open_and_writes_it_down(web: Web) -> None:
    web.named.waiting.clear()
    command = json.dumps({"command": f"curl -sS {web.named.at('/slow')}"})
    asking = threading.Thread(target=verb, args=(web.made.home, "call", MAIN, "exec", command))
    asking.start()
    assert web.named.waiting.wait(20)
    web.made.stop()
    asking.join(20)
    assert not asking.is_alive()
    web.made.start(SEARCH_API_KEY=KEY, SSL_CERT_FILE=str(web.made.home.parent / "ca.pem"))
    last = web.egress()[-1]
    assert (last["kind"], last["body"]["code"]) == ("egress_closed", "cancelled")
    assert "the bread is done" in content(web.fetch(web.named.at("/bread")))


def test_the_key_of_the_search_engine_stands_in_no_command_line(web: Web) -> None:
    assert content(web.made.call("web_search", {"query": "rye"}, agent=WEB))
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes())
    assert any(str(web.made.home).encode() in line for line in lines)  # the gateway's own is among them
    assert not any(KEY.encode() in line for line in lines)


def test_a_site_must_show_a_certificate_that_this_machine_trusts(web: Web) -> None:
    assert "the bread is done" in content(web.fetch(f"https://localhost:{web.safe.port}/bread"))
    refused = web.fetch(f"https://localhost:{web.false.port}/bread")
    assert refused["outcome"]["ok"] is False
    assert web.false.asked == []  # it was connected to, and told nothing
    assert web.egress()[-1]["body"]["code"] == "fetch_failed"
