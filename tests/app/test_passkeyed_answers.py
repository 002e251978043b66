"""Where policy wants a passkey, no yes passes the office over HTTP without one, whatever surface and verb it takes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.builders import AGENT
from tests.keeping import ASKS, CARD, call, rules
from tests.tokens.authenticator import Authenticator
from tests.tokens.opened import SHELL, Opened

from bascule.app.answering import Answering
from bascule.core.answer import State
from bascule.core.errors import BasculeError
from bascule.desk.pending import PendingDesk
from bascule.desk.rows import SCHEMA as DESK
from bascule.service.passkeys import RelyingParty, Yes
from bascule.service.port import Caller, Wider
from bascule.state.migrations import migrate

SITE = RelyingParty("localhost", "http://localhost:18789")
TERMS = Wider("exact", False, 30, 5, None, None)


class Desked(Opened):
    """Doors, a desk with questions, and the part of the office that answers them."""

    def __init__(self, state) -> None:
        super().__init__(state)
        migrate(self.database, (DESK,))
        self.policy = replace(self.policy, passkey="risky")
        self.desk = PendingDesk(self.database, self.time, self.ledger)
        staff = SimpleNamespace(
            desk=self.desk, keys=self.office._keys, policy=self.policy, rules=self.policy.agents.__getitem__
        )
        self.answering = Answering(staff)
        self.key = Authenticator(SITE)
        secret = asyncio.run(self.linked())
        self.who = asyncio.run(self.doors.recognise(secret))
        options = asyncio.run(self.ring.begin_registration(self.who, SITE))
        asyncio.run(
            self.ring.finish_registration(self.who, SITE, name="k", untrusted_response=self.key.create(options))
        )

    def asked(self, path: str = "notes.md"):
        seq = self.ledger.append_now("decided", {"agent": AGENT, "tool": "write"}, durable=False)
        return asyncio.run(self.desk.open(call(path), ASKS, CARD, seq, rules()))

    def touched(self, question, wider: Wider | None = None) -> None:
        yes = Yes(question.id, question.digest, wider)
        answer = self.key.get(asyncio.run(self.ring.begin_approval(self.who, SITE, yes)))
        asyncio.run(self.ring.finish_approval(self.who, SITE, yes, untrusted_response=answer))

    def by(self, **changes) -> Caller:
        principal = replace(self.who, **changes)
        return Caller(-1, 0, "operator (dashboard)", principal.person, principal)

    def states(self) -> list[State]:
        return [found.state for found in asyncio.run(self.desk.list(tuple(State)))]


def code(attempt) -> str:
    """What came of it: the code of the refusal, or ``ok``."""
    try:
        asyncio.run(attempt)
    except BasculeError as refused:
        return refused.code
    return "ok"


@pytest.fixture
def home(tmp_path):
    with Desked(tmp_path) as desked:
        yield desked


def test_no_yes_without_a_touch_and_one_with(home):
    question = home.asked()
    for caller in (home.by(), home.by(browser=""), home.by(browser="", token="tok_0"), home.by(browser="brw_other")):
        for attempt in (
            home.answering.approvals_approve(caller, ref=question.id),
            home.answering.approvals_approve(caller, ref=question.code),
            home.answering.approvals_grant(caller, ref=question.id, wider=TERMS),
            home.answering.approvals_decide(caller, answer="approve", items=f"{question.id}={question.digest}"),
        ):
            assert code(attempt) == "passkey_needed"
    assert home.states() == [State.PENDING]
    home.touched(question)
    assert code(home.answering.approvals_grant(home.by(), ref=question.id, wider=TERMS)) == "passkey_needed"
    assert code(home.answering.approvals_approve(home.by(), ref=question.code)) == "ok"
    assert home.states() == [State.APPROVED]


def test_a_no_is_never_harder(home):
    first, second = home.asked(), home.asked("other.md")
    assert code(home.answering.approvals_deny(home.by(), ref=first.id)) == "ok"
    assert code(home.answering.approvals_decide(home.by(), answer="deny", items=f"{second.id}={second.digest}")) == "ok"
    assert home.states() == [State.DENIED, State.DENIED]


def test_the_machine_s_own_shell_and_signal_are_asked_for_none(home):
    assert code(home.answering.approvals_approve(SHELL, ref=home.asked().id)) == "ok"
    maya = Caller(-1, 0, "Maya (signal)", "Maya")
    assert code(home.answering.approvals_approve(maya, ref=home.asked("other.md").id)) == "ok"


def test_of_several_none_is_answered_unless_each_was_touched_for(home):
    questions = [home.asked("a.md"), home.asked("b.md")]
    items = ",".join(f"{found.id}={found.digest}" for found in questions)
    home.touched(questions[0])
    assert code(home.answering.approvals_decide(home.by(), answer="approve", items=items)) == "passkey_needed"
    assert home.states() == [State.PENDING, State.PENDING]
    for question in questions:
        home.touched(question)
    assert code(home.answering.approvals_decide(home.by(), answer="approve", items=items)) == "ok"
    assert home.states() == [State.APPROVED, State.APPROVED]


def test_a_touch_for_one_question_is_none_for_the_next(home):
    first, second = home.asked("a.md"), home.asked("b.md")
    home.touched(first)
    assert code(home.answering.approvals_approve(home.by(), ref=second.id)) == "passkey_needed"
    assert code(home.answering.approvals_deny(home.by(), ref=first.id)) == "ok"
    assert code(home.answering.approvals_approve(home.by(), ref=first.id)) == "approval_settled"
    assert home.states() == [State.DENIED, State.PENDING]
