"""A raw bridge as an agent of a real gateway has it: policy alone gives it, everything says so, and it leads outward."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.attacks.probing import list_probe
from tests.living import MAIN, Living, codes, content, effect, living, verb, with_egress
from tests.sandboxes.bridging import GATEWAY, HOST, METADATA, NEIGHBOUR, SITE, Internet, internet
from tests.sandboxes.second_engine import small_root

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("a raw bridge needs a warden that is root", allow_module_level=True)

WEB = "bruba-web"
TOOL = "tools/bridged.py"
PROGRAM = Path(__file__).parents[1] / "attacks" / "bridged.py"
LOUD = "NO HOST RULES"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"bread\n")

    def log_message(self, *_args: object) -> None:
        pass


@dataclass
class House:
    net: Internet
    made: Living
    port: int

    def says(self, *words: str) -> dict[str, str]:
        report = self.made.run(" ".join([TOOL, *words]))
        assert effect(report) == "allow", report["decision"]
        return dict(json.loads(content(report)))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("raw")
    with internet(folder / "engine", small_root(folder / "root.tar")) as net:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = int(server.server_address[1])

        def prepare(made: Living) -> None:
            net.engine.record(made.home, net.image)
            raw = f'id: "{MAIN}", sandbox: {{ network: "unsafe_bridge", docker: {{ dns: ["{SITE}"] }} }},'
            rules = {"agents": {WEB: {"allow": ["*"], "allowPrivate": [f"127.0.0.1:{port}"]}}}

            def edit(text: str) -> str:
                text = text.replace('network: "proxy"', 'network: "unsafe_bridge"', 1)  # of the one who fetches
                return with_egress(text.replace(f'id: "{MAIN}",', raw, 1), rules)

            made.change("bascule.json5", edit)
            list_probe(made, MAIN, PROGRAM, (TOOL, "tools/bridged-writing.py"))

        home = folder / "home"
        try:
            with living(home, prepare, "docker", DOCKER_HOST=f"unix://{net.engine.socket}") as made:
                yield House(net, made, port)
        finally:
            server.shutdown()
            server.server_close()


def test_its_programs_reach_what_is_public_and_nothing_else(house: House) -> None:
    before = house.net.counters.total("site")
    found = house.says("knock", SITE, HOST, GATEWAY, NEIGHBOUR, METADATA)
    assert {name for name, said in found.items() if said.startswith("ok")} == {f"tcp {SITE}", f"udp {SITE}"}
    assert house.net.counters.total("site") == before


def test_names_are_asked_of_the_server_that_policy_names(house: House) -> None:
    found = house.says("names", "site.example.org", "metadata.example.org")
    assert found[f"site.example.org tcp {SITE}"] == "ok hello from outside"
    assert found["metadata.example.org"] == f"ok {METADATA}"
    assert found[f"metadata.example.org tcp {METADATA}"] == "EHOSTUNREACH"


def test_its_tools_keep_to_the_rules_of_egress(house: House) -> None:
    report = house.made.call("web_fetch", {"url": f"http://127.0.0.1:{house.port}/x"}, agent=WEB)
    assert "bread" in content(report), report["decision"]
    denied = house.made.call("web_fetch", {"url": f"http://127.0.0.1:{house.port + 1}/x"}, agent=WEB)
    assert codes(denied) == {"host_local"}
    kinds = [record["kind"] for record in house.made.records()]
    assert ("egress_opened" in kinds, "egress_closed" in kinds) == (True, True)


def test_everything_says_so(house: House) -> None:
    home = house.made.home
    assert LOUD in verb(home, "status").stdout
    assert LOUD in verb(home, "agents", "show", MAIN).stdout
    assert LOUD in verb(home, "sandbox", "explain", MAIN).stdout
    probed = verb(home, "sandbox", "probe", MAIN)
    assert (probed.returncode, LOUD in probed.stdout) == (0, True)
    checked = json.loads(verb(home, "config", "check", "--json").stdout)
    raw = [row for row in checked["findings"] if row["id"] == "sandbox.unsafe_bridge"]
    assert [row["severity"] for row in raw] == ["critical"] * 2


def test_another_agent_of_the_same_home_has_none(house: House) -> None:
    list_before = house.net.counters.total()
    report = house.made.run(f"{TOOL} knock {SITE}", agent="bruba-guru")
    assert effect(report) != "allow"
    probed = verb(house.made.home, "sandbox", "probe", "bruba-guru")
    assert LOUD not in probed.stdout
    assert house.net.counters.total() == list_before
