"""T17: data leaves by way of the one address a box can reach. Every listener is first reached without a box.

One port of one listener is named by policy and reached through the proxy, so that what is refused beside it is refused
by a way that works.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from tests.attacks.probing import BACKENDS, OUTWARD, inside, list_probe, outside
from tests.attacks.test_t17_network import ABSTRACT, SOCKETS, Listeners, listening, own_address
from tests.egress.ssrf import notations
from tests.living import MAIN, Living, living, with_egress

pytestmark = pytest.mark.live

OTHER = "bruba-guru"
OUTSIDE = ("tools/outward.py", "tools/outward-writing.py")


@dataclass
class Named:
    """A listener that policy names; remembers the first line of whatever comes, and answers."""

    server: socket.socket
    heard: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])


@contextmanager
def named() -> Iterator[Named]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made, ended = Named(server), threading.Event()
        server.settimeout(0.05)

        def serve() -> None:
            while not ended.is_set():
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
                with peer:
                    peer.settimeout(5)
                    made.heard.append(peer.recv(4096).decode().split("\r\n")[0])
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield made
        finally:
            ended.set()
            thread.join()


@dataclass(frozen=True)
class House:
    made: Living
    listeners: Listeners
    named: Named


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        open_ = stack.enter_context(named())
        rules = {"allow": ["*"], "allowPrivate": [f"127.0.0.1:{open_.port}"], "requestsPerMinute": 10_000}

        def prepare(made: Living) -> None:
            def edit(text: str) -> str:
                text = with_egress(text, {"agents": {MAIN: rules, "bruba-web": {"allow": ["*"]}}})
                return text.replace(f'id: "{MAIN}",', f'id: "{MAIN}", sandbox: {{ network: "proxy" }},', 1)

            made.change("bascule.json5", edit)
            list_probe(made)
            list_probe(made, MAIN, OUTWARD, OUTSIDE)
            list_probe(made, OTHER)

        made = stack.enter_context(living(tmp_path_factory.mktemp("t17") / "home", prepare, request.param))
        yield House(made, stack.enter_context(listening(made.root() / "workspace")), open_)


def test_without_a_box_every_listener_is_reached_and_anybody_serves(house: House) -> None:
    workspace = house.made.root() / "workspace"
    found = outside("network", own_address(), str(house.listeners.port), ABSTRACT, *SOCKETS, cwd=workspace)
    assert sum(said.startswith("ok") for said in found.values()) >= 8
    assert house.listeners.came >= 8
    served = outside("serve", program=OUTWARD)
    assert {served[name] for name in ("any port", "its port", "its port shared")} == {"ok listens"}
    assert all(served[name].startswith("ok") for name in ("unbound", "udp", "raw")), served


@pytest.mark.parametrize("tool", OUTSIDE)
def test_what_policy_names_is_reached_through_the_proxy(house: House, tool: str) -> None:
    before = len(house.named.heard)
    found = inside(house.made, "through", f"127.0.0.1:{house.named.port}", tool=tool)
    assert found[f"GET http://127.0.0.1:{house.named.port}/leak"] == "ok HTTP/1.1 200 OK"
    assert "GET /leak HTTP/1.1" in house.named.heard[before:]


def test_no_listener_is_reached_past_the_proxy(house: House) -> None:
    before, heard = house.listeners.came, len(house.named.heard)
    paths = [f"{start}/{name}" for start in ("/workspace/workspace", "workspace") for name in SOCKETS]
    for port in (house.listeners.port, house.named.port):
        found = inside(house.made, "network", own_address(), str(port), ABSTRACT, *paths)
        assert found.pop("socket inet").startswith("ok")
        tcp = {said for name, said in found.items() if name.startswith("tcp ")}
        # Landlock's word where the kernel knows TCP; else the empty network's.
        assert tcp <= {"EACCES", "ECONNREFUSED", "ENETUNREACH"}
        assert {said for name, said in found.items() if not name.startswith("tcp ")} == {"EAFNOSUPPORT"}
        assert len(found) > 30
    assert (house.listeners.came, len(house.named.heard)) == (before, heard)


def test_no_listener_is_reached_through_the_proxy(house: House) -> None:
    before = house.listeners.came
    hosts = [*notations("127.0.0.1"), *notations(own_address()), "localhost", "localhost.localdomain", "box", "[::1]"]
    hosts += [socket.gethostname(), "169.254.169.254"]
    targets = [f"{host}:{house.listeners.port}" for host in hosts]
    for start in range(0, len(targets), 8):
        found = inside(house.made, "through", *targets[start : start + 8], tool=OUTSIDE[0])
        assert not any(" 200 " in said for said in found.values()), found
        assert all(said.startswith(("ok HTTP/1.1 4", "ok HTTP/1.1 5", "ok closed")) for said in found.values()), found
    assert house.listeners.came == before


def test_nobody_in_a_box_stands_where_the_proxy_stands(house: House) -> None:
    found = inside(house.made, "serve", tool=OUTSIDE[0])
    assert set(found.values()) <= {"EPERM", "EAFNOSUPPORT"}, found


def test_another_agent_without_a_network_has_no_way_at_all(house: House) -> None:
    heard, came = len(house.named.heard), house.listeners.came
    found = inside(house.made, "network", own_address(), str(house.named.port), ABSTRACT, agent=OTHER)
    assert set(found.values()) == {"EAFNOSUPPORT"}
    told = inside(house.made, "environment", agent=OTHER)
    assert not any("proxy" in name.lower() for name in told)
    assert (len(house.named.heard), house.listeners.came) == (heard, came)


def test_the_record_names_the_agent_and_the_place(house: House) -> None:
    inside(house.made, "through", f"127.0.0.1:{house.named.port}", f"127.0.0.1:{house.listeners.port}", tool=OUTSIDE[0])
    said = [record["body"] for record in house.made.records() if record["kind"].startswith("egress_")]
    assert {body["agent"] for body in said} == {MAIN}
    assert any(str(house.listeners.port) in json.dumps(body) for body in said)


def test_nothing_of_the_way_lies_open_in_the_box(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        held = outside("descriptors", pass_fds=(listener.fileno(),))
    assert any(what.startswith("ok socket:") for what in held.values())
    found = inside(house.made, "descriptors")
    assert not any(what.startswith("ok socket:") for what in found.values()), found


def test_a_box_sees_no_interface_but_loopback_and_no_socket_of_the_host(house: House) -> None:
    seen = inside(house.made, "contents", "/proc/net/route", "/proc/net/unix", "/proc/net/tcp", "/proc/net/dev")
    assert [line.split(":")[0].strip() for line in seen["/proc/net/dev"].splitlines()[2:]] == ["lo"]
    assert ABSTRACT not in seen["/proc/net/unix"]
    assert len(seen["/proc/net/route"].splitlines()) == 1
    assert len(seen["/proc/net/tcp"].splitlines()) == 2  # the head, and the one listener
