"""The policy is edited where an operator would edit it, or not at all."""

from __future__ import annotations

from importlib import resources

import pytest
from demo.house import edited, reaching
from demo.steps import DemoError

from bascule.policy.json5 import read

TEMPLATE = (resources.files("bascule.policy") / "templates" / "bruba" / "bascule.json5").read_text("utf-8")


def test_each_agent_gets_its_script_and_the_canary_stays_a_comment() -> None:
    text = edited(TEMPLATE, ["bruba-main", "bruba-guru"], "canary-1")
    assert text.count('model: "script:scripts/bruba-') == 2
    assert text.endswith("// canary-1\n")
    assert "callsPerMinute: 100000" in text
    assert read(text, "bascule.json5").value


@pytest.mark.parametrize("text", ["{}", TEMPLATE.replace('id: "bruba-main"', 'id: "other"')])
def test_a_policy_without_the_agent_is_refused(text: str) -> None:
    with pytest.raises(DemoError, match="bruba-main"):
        edited(text, ["bruba-main"], "x")


def test_one_port_is_named_for_who_reads_the_web_and_nothing_else_is_changed() -> None:
    text = reaching(TEMPLATE, 4711)
    rules = read(text, "bascule.json5").value["egress"]["agents"]["bruba-web"]
    assert rules == {"allow": ("*",), "allowPrivate": ("127.0.0.1:4711",)}
    assert text.replace(', allowPrivate: ["127.0.0.1:4711"]', "") == TEMPLATE
    assert reaching("{}", 4711) == "{}"
