"""The path as a whole, over simulators: order, single use, second judgement, and nothing without a record."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from tests.builders import AGENT, FACTS, LAYOUT, agent_policy, policy, proposal
from tests.simulators import Disk, Ledger, Questions, Time, Truth, Yard

from bascule.core.answer import State
from bascule.core.errors import Unavailable
from bascule.core.facts import Enforcement
from bascule.core.policy import Standing
from bascule.core.verdict import Effect
from bascule.gate import BEGUN, Boundary, Gate, Wiring
from bascule.tools.edit.run import Edit
from bascule.tools.named.run import Named
from bascule.tools.named.spec import SPECS
from bascule.tools.read.run import Read
from bascule.tools.write.run import Write

INSIDE = "/workspace/memory/x"


class House:
    """One gate and its neighbours."""

    def __init__(self, rules=None, **files: bytes) -> None:
        self.disk = Disk({INSIDE: b"inside", "/etc/hosts": b"outside"})
        self.yard, self.ledger, self.desk = Yard(self.disk), Ledger(), Questions()
        self.truth, self.time, self.reached = Truth(), Time(), []
        self.policy = policy(rules)
        tools = {tool.spec.name: tool for tool in (Read(self.yard), Write(self.yard), Edit(self.yard))}
        mask = lambda content: content.replace(b"hunter2", b"*")  # noqa: E731
        self.gate = Gate(
            self.policy, Wiring(tools, self.ledger, self.desk, self.truth, self.time, mask, self.reached.append)
        )

    def cross(self, tool: str, args: dict | str, **options):
        text = args if isinstance(args, str) else json.dumps(args)
        return asyncio.run(self.gate.cross(proposal(tool, text), **options))


def test_an_allowed_call_is_recorded_before_and_after_its_effect():
    house = House()
    crossing = house.cross("read", {"path": "memory/x"})
    assert (crossing.outcome.content, crossing.decision.effect) == (b"inside", Effect.ALLOW)
    assert house.ledger.kinds == ["decided", "started", "finished"]
    assert crossing.seq == 1
    assert [body["parent"] for _, body, _ in house.ledger.rows[1:]] == [1, 2]


def test_every_boundary_is_passed_in_order_by_a_call_that_was_asked_about():
    house = House()
    asyncio.run(_ask_then_yes(house))
    passed = [boundary for boundary in house.reached if boundary is not Boundary.PROPOSED]
    assert passed[:2] == [Boundary.DECIDED, Boundary.ASKED]
    assert passed[2:] == [
        Boundary.CONSUMED, Boundary.ANSWERED, Boundary.STARTED, Boundary.RAN, Boundary.FINISHED,
    ]  # fmt: skip
    assert set(house.reached) == set(Boundary)


async def _ask_then_yes(house: House):
    outside = proposal("read", '{"path":"/etc/hosts"}')
    crossing = asyncio.create_task(house.gate.cross(outside, wait=30))
    while not house.desk.rows:
        await asyncio.sleep(0)
    house.desk.answer("apr_0", State.APPROVED)
    return await crossing


def test_of_two_that_wait_for_one_yes_one_runs():
    house = House()

    async def both():
        outside = proposal("read", '{"path":"/etc/hosts"}')
        crossings = [asyncio.create_task(house.gate.cross(outside, wait=30)) for _ in range(2)]
        while house.reached.count(Boundary.ASKED) < 2:
            await asyncio.sleep(0)
        house.desk.answer("apr_0", State.APPROVED)
        return await asyncio.gather(*crossings)

    crossings = asyncio.run(both())
    assert [crossing.outcome is not None for crossing in crossings].count(True) == 1
    assert (len(house.desk.rows), house.ledger.kinds.count("started")) == (1, 1)


def test_a_call_that_asks_has_no_effect_until_yes_and_then_exactly_one():
    house = House()
    asked = house.cross("read", {"path": "/etc/hosts"})
    assert (asked.approval.state, asked.outcome, house.disk.effects) == (State.PENDING, None, [])
    house.desk.answer(asked.approval.id, State.APPROVED)
    ran = house.cross("read", {"path": "/etc/hosts"})
    assert (ran.outcome.content, ran.approval.state) == (b"outside", State.CONSUMED)
    assert (asked.decision.effect, ran.decision.effect) == (Effect.ASK, Effect.ALLOW)
    assert house.yard.mounted == [("/etc/hosts",)]
    again = house.cross("read", {"path": "/etc/hosts"})
    assert (again.outcome, again.approval.state) == (None, State.PENDING)
    assert house.disk.effects == ["read /etc/hosts"]


@pytest.mark.parametrize("state", [State.DENIED, State.EXPIRED, State.CANCELLED, State.PENDING])
def test_anything_but_yes_is_no(state):
    house = House()
    asked = house.cross("read", {"path": "/etc/hosts"})
    house.desk.answer(asked.approval.id, state)
    assert house.cross("read", {"path": "/etc/hosts"}).outcome is None
    assert house.disk.effects == []


def test_a_yes_is_for_these_arguments_and_no_others():
    house = House()
    asked = house.cross("read", {"path": "/etc/hosts"})
    house.desk.answer(asked.approval.id, State.APPROVED)
    assert house.cross("read", {"path": "/etc/hosts", "limit": 3}).outcome is None
    assert house.cross("read", {"path": "/etc/hostname"}).outcome is None
    assert house.disk.effects == []


def test_a_yes_does_not_lift_a_deny_that_came_after_it():
    house = House()
    asked = house.cross("read", {"path": "/etc/hosts"})
    house.desk.answer(asked.approval.id, State.APPROVED)
    contained = replace(FACTS, contained="canary")
    house.truth.then = [FACTS, FACTS, FACTS, contained]
    crossing = house.cross("read", {"path": "/etc/hosts"})
    assert (crossing.decision.effect, crossing.decision.leading.code) == (Effect.DENY, "contained")
    assert (crossing.outcome, house.disk.effects) == (None, [])
    assert house.ledger.kinds[-1] == "answered"


def test_a_yes_for_what_can_no_longer_be_looked_up_is_a_recorded_no():
    house = House(agent_policy(tools={"edit": Standing(), "read": Standing()}))
    asked = house.cross("read", {"path": "/etc/hosts"})
    house.desk.answer(asked.approval.id, State.APPROVED)
    read = house.gate._to.tools["read"]
    looked_up = read.bind

    async def gone(*seen):
        if house.desk.rows[asked.approval.id].state is State.CONSUMED:
            raise Unavailable("file_missing", "it is gone")
        return await looked_up(*seen)

    read.bind = gone
    crossing = house.cross("read", {"path": "/etc/hosts"})
    codes = [verdict.code for verdict in crossing.decision.verdicts]
    assert (codes, crossing.outcome) == (["file_missing", "call_changed"], None)
    assert house.ledger.kinds[-1] == "answered"


def test_an_edit_whose_file_changed_between_judging_and_running_does_not_land():
    house = House()
    found = asyncio.run(house.gate._parse(proposal("edit", json.dumps(EDIT)), house.policy.agents["bruba-main"]))
    house.disk.content[INSIDE] = b"inside, changed"
    changed = asyncio.run(house.gate._parse(proposal("edit", json.dumps(EDIT)), house.policy.agents["bruba-main"]))
    assert found.digest != changed.digest


EDIT = {"path": "memory/x", "oldText": "inside", "newText": "new"}


def test_a_write_is_on_disk_as_begun_before_it_happens_and_a_read_need_not_be():
    house = House()
    house.cross("write", {"path": "memory/y", "content": "z"})
    house.cross("read", {"path": "memory/y"})
    assert [(kind, durable) for kind, _, durable in house.ledger.rows] == [
        ("decided", False), ("started", True), ("finished", False),
        ("decided", False), ("started", False), ("finished", False),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["decided", "started"])
def test_what_cannot_be_recorded_does_not_happen(kind):
    house = House()
    house.ledger.fail_on = kind
    with pytest.raises(Unavailable):
        house.cross("write", {"path": "memory/y", "content": "z"})
    assert house.disk.effects == []


def test_a_question_that_cannot_be_written_is_a_no():
    house = House()
    house.desk.full = True
    crossing = house.cross("read", {"path": "/etc/hosts"})
    assert (crossing.decision.effect, crossing.decision.leading.code) == (Effect.DENY, "desk_full")
    assert house.disk.effects == []


@pytest.mark.parametrize(
    ("tool", "args", "code"),
    [
        ("nothing", "{}", "tool_unknown"),
        ("Read", '{"path":"memory/x"}', "tool_unknown"),
        ("read", '{"path":"memory/x","path":"/etc/shadow"}', "json_duplicate_key"),
        ("read", '{"path":"memory/x","x":1}', "argument_unknown"),
        ("read", "{", "arguments_not_json"),
        ("read", '{"path":"\\ud800"}', "json_surrogate"),
        ("edit", '{"path":"memory/x","oldText":"","newText":"a"}', "edit_empty"),
        ("\ud800", "\ud800", "tool_unknown"),
    ],
)
def test_what_does_not_parse_is_refused_and_recorded(tool, args, code):
    house = House()
    crossing = house.cross(tool, args)
    assert (crossing.call, crossing.decision.effect, crossing.decision.verdicts[0].code) == (None, Effect.DENY, code)
    assert (house.ledger.kinds, house.disk.effects) == (["decided"], [])
    json.dumps(house.ledger.rows[0][1]).encode()


def test_trying_a_denied_tool_shows_even_with_malformed_arguments():
    house = House(agent_policy(tools={"read": Standing(denied_by="tools.deny")}))
    codes = [verdict.code for verdict in house.cross("read", "{").decision.verdicts]
    assert codes[:2] == ["arguments_not_json", "tool_denied"]


@pytest.mark.parametrize(
    "facts", [replace(FACTS, contained="x"), replace(FACTS, missing={Enforcement.SANDBOX: "no box"})]
)
def test_nothing_is_looked_up_for_a_call_that_is_denied_anyway(facts):
    house = House()
    house.truth.facts = facts
    crossing = house.cross("edit", EDIT)
    assert (crossing.decision.effect, house.yard.mounted) == (Effect.DENY, [])


def test_what_a_model_tried_with_a_tool_that_is_only_named_is_kept():
    house = House(agent_policy(tools={"x_search": Standing()}))
    spec = next(spec for spec in SPECS if spec.name == "x_search")
    house.gate._to.tools["x_search"] = Named(spec)
    house.truth.facts = replace(FACTS, missing={Enforcement.NOT_CARRIED: "not carried"})
    crossing = house.cross("x_search", '{"url":"https://evil.test/?q=1"}')
    assert crossing.decision.effect is Effect.DENY
    assert "evil.test" in house.ledger.rows[0][1]["raw_args"]


def test_a_dry_run_judges_and_leaves_no_trace():
    house = House()
    crossing = house.cross("read", {"path": "/etc/hosts"}, dry_run=True)
    assert (crossing.decision.effect, crossing.seq) == (Effect.ASK, None)
    assert (house.ledger.rows, house.desk.rows, house.disk.effects) == ([], {}, [])


def test_what_the_model_proposes_is_counted_and_what_a_verb_asks_is_not():
    house = House()
    house.cross("nothing", "{}")
    asyncio.run(house.gate.cross(replace(proposal("nothing", "{}"), origin="cli:pat")))
    assert house.truth.counted == 1


def test_a_failed_effect_is_an_outcome_and_is_recorded():
    house = House()
    crossing = house.cross("read", {"path": "memory/none"})
    assert (crossing.outcome.ok, crossing.outcome.code) == (False, "file_missing")
    assert house.ledger.rows[-1][1]["code"] == "file_missing"


def test_containment_between_judgement_and_effect_leaves_no_gap():
    house = House()
    house.truth.brake = "canary"
    crossing = house.cross("write", {"path": "memory/y", "content": "z"})
    assert (crossing.decision.leading.code, house.disk.effects) == ("contained", [])
    assert house.ledger.kinds == ["decided"]


def test_halting_an_agent_ends_what_is_under_way():
    house = House()

    async def endless(*_args, **_options):
        await asyncio.Event().wait()

    house.disk.read = endless

    async def halt():
        crossing = asyncio.create_task(house.gate.cross(proposal("read", '{"path":"memory/x"}')))
        while Boundary.STARTED not in house.reached:
            await asyncio.sleep(0)
        house.gate.halt("bruba-web")
        house.gate.halt("bruba-main")
        with pytest.raises(asyncio.CancelledError):
            await crossing

    asyncio.run(halt())
    assert house.ledger.rows[-1][1]["code"] == "cancelled"


def test_a_tool_that_breaks_has_failed_and_says_nothing_of_its_inside():
    house = House()

    async def broken(*_args, **_options):
        raise RuntimeError("hunter2")

    house.disk.read = broken
    crossing = house.cross("read", {"path": "memory/x"})
    assert (crossing.outcome.code, b"hunter2" in crossing.outcome.content) == ("tool_crashed", False)
    assert house.ledger.kinds[-1] == "finished"


def test_secrets_are_masked_and_results_cut_to_the_limit():
    house = House()
    limit = house.policy.agents["bruba-main"].sandbox.limits.output_bytes
    house.disk.content[INSIDE] = b"the key is hunter2." + b"x" * limit
    outcome = house.cross("read", {"path": "memory/x"}).outcome
    assert outcome.content.startswith(b"the key is *.")
    assert (len(outcome.content) <= limit, outcome.truncated) == (True, True)


def test_the_result_carries_the_label_of_the_call_that_fetched_it():
    outcome = House().cross("read", {"path": "memory/x"}).outcome
    assert outcome.label.sources == {"operator", f"file:{LAYOUT.agent_root}/memory/x"}


def test_the_card_tells_the_whole_call():
    house = House()
    text = "\x1b[2Jline one\nline two" + "x" * 5000
    asked = house.cross("write", {"path": "/etc/hosts", "content": text})
    shown = "\n".join(asked.approval.card)
    assert all(part in shown for part in ("bruba-main wants to use write", "/etc/hosts", "line two" + "x" * 5000))
    assert LAYOUT.home not in shown


def test_a_cancelled_call_is_on_record_as_ended():
    house = House()

    async def endless(*_args, **_options):
        await asyncio.Event().wait()

    house.disk.read = endless

    async def cancel():
        crossing = asyncio.create_task(house.gate.cross(proposal("read", '{"path":"memory/x"}')))
        while Boundary.STARTED not in house.reached:
            await asyncio.sleep(0)
        crossing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await crossing

    asyncio.run(cancel())
    assert (house.ledger.kinds[-1], house.ledger.rows[-1][1]["code"]) == ("finished", "cancelled")


def test_a_call_is_under_way_while_its_hands_are_at_work_and_no_longer():
    house = House()
    seen = []

    class Looking:
        spec = house.gate._to.tools["read"].spec

        def __getattr__(self, name):
            return getattr(house.real, name)

        async def run(self, call, confinement):
            seen.append((house.gate.under_way(call.agent), house.gate.under_way("bruba-guru"), BEGUN.get()))
            return await house.real.run(call, confinement)

    house.real = house.gate._to.tools["read"]
    house.gate._to.tools["read"] = Looking()
    house.cross("read", {"path": "memory/x"})
    begun = next(seq for seq, (kind, _body, *_rest) in enumerate(house.ledger.rows, 1) if kind == "started")
    assert seen == [((begun,), (), begun)]
    assert (house.gate.under_way(AGENT), BEGUN.get()) == ((), None)
