"""A program speaks TLS through its box's one way out, and believes whom the operator says: in both backends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from tests.app.test_web_live import Site, presenting, serving
from tests.attacks.probing import BACKENDS, list_program
from tests.egress.certificates import pair
from tests.living import MAIN, Living, content, effect, living, with_egress

pytestmark = pytest.mark.live

UNTOLD = "bruba-guru"
"""Has the same way to the same places, and nobody told it of the authority."""

CURL = "/usr/bin/curl"
UNKNOWN_ISSUER = 60
"""``CURLE_PEER_FAILED_VERIFICATION``."""


@dataclass(frozen=True)
class House:
    made: Living
    true: Site
    false: Site

    def fetch(self, site: Site, agent: str = MAIN, how: str = "-sS") -> tuple[int, str]:
        report = self.made.run(f"curl {how} -m 20 https://localhost:{site.port}/bread", agent=agent)
        assert report["outcome"] is not None, report["decision"]
        return report["outcome"]["exit"], content(report)


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    certificate, key = pair.__wrapped__("localhost")
    with ExitStack() as stack:
        contexts = (presenting(certificate, key), presenting(*pair.__wrapped__("localhost")))
        true, false = (stack.enter_context(serving(context)) for context in contexts)
        rules = {"allowPrivate": [f"localhost:{site.port}" for site in (true, false)]}

        def prepare(made: Living) -> None:
            def edit(text: str) -> str:
                text = with_egress(
                    text, {"agents": {MAIN: rules, UNTOLD: rules, "bruba-web": {"allow": ["example.org"]}}}
                )
                told = {"network": "proxy", "docker": {"env": {"SSL_CERT_FILE": "/workspace/ca.pem"}}}
                text = text.replace(f'id: "{MAIN}",', f'id: "{MAIN}", sandbox: {json.dumps(told)},', 1)
                return text.replace(f'id: "{UNTOLD}",', f'id: "{UNTOLD}", sandbox: {{ network: "proxy" }},', 1)

            made.change("bascule.json5", edit)
            for agent in (MAIN, UNTOLD):
                list_program(made, CURL, agent)
                (made.root(agent) / "ca.pem").write_bytes(certificate)
                (made.root(agent) / "ca.pem").chmod(0o644)

        made = stack.enter_context(living(tmp_path_factory.mktemp("tls") / "home", prepare, request.param))
        yield House(made, true, false)


def test_whom_the_operator_names_is_believed_through_the_proxy(house: House) -> None:
    before = len(house.true.asked)
    assert house.fetch(house.true) == (0, "the bread is done\n")
    assert len(house.true.asked) == before + 1
    opened = [record for record in house.made.records() if record["kind"] == "egress_opened"][-1]
    assert opened["body"]["target"].endswith(f"localhost:{house.true.port}")


def test_without_the_operators_word_nobody_is(house: House) -> None:
    before, came = len(house.true.asked), house.true.connections
    assert house.fetch(house.true, UNTOLD)[0] == UNKNOWN_ISSUER
    assert (len(house.true.asked), house.true.connections) == (before, came + 1)  # the way was open; trust was not
    # Its certificate is there and does it, so it is the word that lacked.
    assert house.fetch(house.true, UNTOLD, "-sS --cacert /workspace/ca.pem") == (0, "the bread is done\n")


def test_another_of_the_same_name_is_not(house: House) -> None:
    before = len(house.false.asked)
    assert house.fetch(house.false)[0] == UNKNOWN_ISSUER
    assert len(house.false.asked) == before
    assert house.fetch(house.false, how="-sS -k") == (0, "the bread is done\n")


def test_the_agent_cannot_change_whom_it_believes(house: House) -> None:
    asked = house.made.call("write", {"path": "ca.pem", "content": "mine"})
    assert (effect(asked), asked["outcome"]) == ("deny", None)
    assert effect(house.made.call("write", {"path": "workspace/ca.pem", "content": "mine"})) == "allow"
    assert house.fetch(house.true)[0] == 0
