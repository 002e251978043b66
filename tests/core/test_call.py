from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from tests.builders import CAT, GREP, proposal, spec

from bascule.core.call import Call, Intent, Proposal, seal
from bascule.core.ids import AgentId, SessionKey
from bascule.core.label import UNKNOWN
from bascule.core.plan import Command, Connector, Plan, Step, Word
from bascule.core.toolspec import ActionClass


def plan(*commands: Command) -> Plan:
    return Plan((Step(Connector.FIRST, commands),))


def sealed(
    asked: Proposal | None = None, tool: str = "exec", commands: tuple[Command, ...] = (), **bindings: str
) -> Call:
    intent = Intent(plan=plan(*commands) if commands else None)
    return seal(asked or proposal("exec"), spec(tool, ActionClass.COMPUTE), {"command": "c"}, intent, bindings)


GREP_X = Command((Word("grep"), Word("x")), program=GREP)

OTHERS = {
    "agent": sealed(replace(proposal("exec"), agent=AgentId("bruba-web"))),
    "session": sealed(replace(proposal("exec"), session=SessionKey("agent:bruba-main:other"))),
    "tool": sealed(tool="write"),
    "binding": sealed(preimage="1"),
    "binding's value": sealed(preimage="2"),
    "binding's name": sealed(outside="1"),
    "program": sealed(commands=(GREP_X,)),
    "another program": sealed(commands=(replace(GREP_X, program=CAT),)),
    "the program's bytes": sealed(commands=(replace(GREP_X, program=replace(GREP, sha256="f" * 64)),)),
    "the program's place": sealed(commands=(replace(GREP_X, program=replace(GREP, path="/usr/local/bin/grep")),)),
    "a word": sealed(commands=(replace(GREP_X, words=(Word("grep"), Word("y"))),)),
    "words cut elsewhere": sealed(commands=(replace(GREP_X, words=(Word("grep x"),)),)),
    "an unresolved program": sealed(commands=(replace(GREP_X, program=None),)),
    "two commands": sealed(commands=(GREP_X, GREP_X)),
}


def test_every_part_that_is_approved_is_in_the_digest() -> None:
    digests = {name: call.digest for name, call in OTHERS.items()} | {"plain": sealed().digest}
    assert len(set(digests.values())) == len(digests)


def test_the_same_call_made_again_has_the_same_digest() -> None:
    again = sealed(replace(proposal("exec"), parent=7, label=UNKNOWN, untrusted_args='{ "command":"c" }'))
    assert again.digest == sealed().digest
    assert sealed(b="2", a="1").digest == sealed(a="1", b="2").digest


def test_the_label_and_the_cause_travel_with_the_call() -> None:
    call = sealed(replace(proposal("exec"), parent=7, label=UNKNOWN))
    assert (call.label, call.parent) == (UNKNOWN, 7)


def test_a_call_cannot_be_changed() -> None:
    call = sealed(preimage="1")
    with pytest.raises(FrozenInstanceError):
        call.tool = "write"  # type: ignore[misc]  # the attack
    with pytest.raises(TypeError):
        call.args["command"] = "d"  # type: ignore[index]  # the attack
    with pytest.raises(TypeError):
        call.bindings["preimage"] = "2"  # type: ignore[index]  # the attack


def test_what_the_caller_keeps_is_not_the_call() -> None:
    args = {"command": "c"}
    bindings = {"preimage": "1"}
    call = seal(proposal("exec"), spec("exec", ActionClass.COMPUTE), args, Intent(), bindings)
    args["command"] = "d"
    bindings["preimage"] = "2"
    assert (call.args["command"], call.bindings["preimage"]) == ("c", "1")
