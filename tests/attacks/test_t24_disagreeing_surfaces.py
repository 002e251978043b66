"""T24: surfaces disagree about an answer, or lose one.

Ten answers at once over HTTP, Signal and the socket; a gateway killed in the moment of an answer; a daemon that goes and
tells everything again; a database that is busy, a disk that is full; nobody reachable at all. Approved at most once, used
at most once, never lost without a word, and silence is no. Effects are bytes in a file that only grows.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from demo.signal_daemon import Sent
from tests.attacks.killing import Aside, Killable, client_of
from tests.attacks.reached import ANN, CARL, NO, SECONDS, YES, Reached, mortal, scripted, until
from tests.living import MAIN, Living

from bascule.core.errors import BasculeError

pytestmark = [pytest.mark.live, pytest.mark.slow]

ROUNDS = 2
"""Kills of each kind; threat T14 walks every boundary."""
CALLERS = 10


def furnish(made: Living) -> None:
    scripted(made, [{"say": "I heard you."}, {"loop": True}])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Reached, Killable]]:
    with mortal(tmp_path_factory.mktemp("t24"), furnish) as found:
        # From the first event on the place in Signal's stream is kept, so that nothing after it can be missed.
        found[0].daemon.say(CARL, "hello")
        until(lambda: any("I heard you" in text for text in found[0].told(CARL)), "an answer")
        yield found


@pytest.fixture
def house(both: tuple[Reached, Killable]) -> Iterator[Reached]:
    yield both[0]
    both[0].settle()


def together(*actions: Callable[[], Any]) -> list[Any]:
    """Do everything at the same moment and return what came of each."""
    barrier = threading.Barrier(len(actions))

    def at_once(action: Callable[[], Any]) -> Callable[[], Any]:
        def wait() -> Any:
            barrier.wait(30)
            return action()

        return wait

    return [aside.join() for aside in [Aside(at_once(action)) for action in actions]]


def over_http(house: Reached, secret: str, question: dict[str, Any], answer: str) -> Callable[[], int]:
    def say() -> int:
        with house.http(secret) as client:
            where = f"/api/v1/approvals/{question['id']}/{answer}"
            try:
                return int(client.post(where, json={"digest": question["digest"]}).status_code)
            except httpx2.HTTPError:
                return 0

    return say


def over_socket(house: Reached, question: dict[str, Any], answer: str) -> Callable[[], int]:
    def say() -> int:
        with client_of(house.made.home) as client:
            try:
                client.request(f"approvals_{answer}", ref=question["id"])
            except BasculeError as error:
                return 409 if error.code == "approval_settled" else 500
            return 200

    return say


def answers(house: Reached, ref: str) -> list[str]:
    """Every move of a question but the first, as the ledger has it."""
    records = [record for record in house.made.records() if record["body"].get("approval") == ref]
    return [
        record["kind"]
        for record in records
        if record["kind"] in {"approved", "denied", "expired", "cancelled", "consumed"}
    ]


@pytest.mark.parametrize("number", range(3))
def test_ten_answers_at_once_are_one(house: Reached, number: int) -> None:
    secret, name = house.token(f"race-{number}")["token"], f"race-{number}"
    question = house.ask(name)
    card = house.card(question)
    ways = [over_http(house, secret, question, answer) for answer in ("approve", "deny", "approve", "deny")]
    ways += [over_socket(house, question, answer) for answer in ("approve", "deny", "approve", "deny")]
    thumbs = [lambda sign=sign: house.daemon.react(ANN, sign, card.at) and None for sign in (YES, NO)]
    said = [found for found in together(*ways, *thumbs) if found is not None]
    until(lambda: house.state(question["id"]) != "pending", "an answer")
    house.heard()
    assert set(said) <= {200, 409}
    assert said.count(200) <= 1
    moves = answers(house, question["id"])
    assert len(moves) == 1
    by = house.show(question["id"])["answered_by"]
    assert (said.count(200) == 0) is by.endswith("(signal)")
    told = [text for text in house.told(ANN) if f"Question {question['code']}" in text and text.endswith(f"by {by}.")]
    assert len(until(lambda: told or [t for t in house.told(ANN) if f"Question {question['code']}" in t], "news")) == 1
    # Ten callers at once on one yes, or on none.
    options = {"session": None, "dry_run": False, "wait": 0.0, "as_operator": False}
    args = str(house.args(name)).replace("'", '"').replace("True", "true")

    def use() -> bool:
        with client_of(house.made.home) as client:
            report = client.request("call", agent=MAIN, tool="write", args_text=args, **options)
            return report["outcome"] is not None

    used = together(*[use] * CALLERS)
    assert used.count(True) == house.effects(name) == (moves == ["approved"])


def test_nobody_reachable_and_silence_is_no(both: tuple[Reached, Killable], house: Reached) -> None:
    question = house.ask("silence")
    card = house.card(question)
    connected = house.daemon.connected
    house.daemon.stop()
    tries = len([record for record in house.made.records() if record["kind"] == "decided"])
    waiting = Aside(lambda: _waited(house, "silence"))
    until(lambda: len([each for each in house.made.records() if each["kind"] == "decided"]) > tries, "the waiting call")
    time.sleep(0.5)  # what is decided is asked next; here it finds the question that is open
    with sqlite3.connect(house.made.home / "state" / "bascule.db", timeout=20) as database:
        database.execute("UPDATE desk SET due = due - 7200 WHERE id = ?", (question["id"],))
    report = waiting.join()
    assert (report["approval"]["state"], report["outcome"]) == ("expired", None)
    assert house.effects("silence") == 0
    # A yes that comes too late, over every surface, is told so and changes nothing.
    secret = house.token("late")["token"]
    assert over_http(house, secret, question, "approve")() == 409
    assert over_socket(house, question, "approve")() == 409
    house.daemon.start()
    until(
        lambda: house.daemon.connected > connected, "the next connection", 2 * SECONDS
    )  # the waits between tries grow
    house.daemon.react(ANN, YES, card.at)
    until(lambda: any("already expired" in text for text in house.told(ANN)), "that it was too late")
    assert answers(house, question["id"]) == ["expired"]
    assert (house.again("silence"), house.effects("silence")) == ("ask", 0)


def killed(house: Killable, after: float) -> None:
    """``kill -9`` a little later, whatever the gateway is doing then."""
    time.sleep(after)
    os.kill(house.pid, signal.SIGKILL)
    house.end()


def revived(both: tuple[Reached, Killable]) -> None:
    reached, made = both
    assert made.verified().ok
    connected = reached.daemon.connected
    made.start()
    until(lambda: reached.daemon.connected > connected, "the bridge")


def test_killed_at_an_answer_over_http(both: tuple[Reached, Killable], house: Reached) -> None:
    """What was told ``200`` is so after the kill; what was not is open or answered, and either way happens once."""
    made, chance, told = both[1], random.Random(24), []
    for number in range(ROUNDS):
        name = f"http-{number}"
        question, secret = house.ask(name), house.token(f"killed-{number}")["token"]
        with house.http(secret) as warm:
            warm.get("/api/v1/me")
        saying = Aside(over_http(house, secret, question, "approve"))
        killed(made, chance.uniform(0.0, 0.03))
        status = saying.join()
        told.append(status)
        assert status in {0, 200}
        revived(both)
        state = house.state(question["id"])
        assert state == "approved" if status == 200 else state in {"pending", "approved"}
        if state == "pending":
            assert over_http(house, secret, question, "approve")() == 200
        assert [house.again(name), house.again(name)] == ["allow", "ask"]
        assert house.effects(name) == 1
        assert answers(house, question["id"]) == ["approved", "consumed"]
        house.settle()
    assert len(told) == ROUNDS


def test_killed_at_an_answer_over_signal(both: tuple[Reached, Killable], house: Reached) -> None:
    """The thumb was given once; whenever the gateway dies, it counts in the end, and once."""
    made, chance = both[1], random.Random(42)
    for number in range(ROUNDS):
        name = f"signal-{number}"
        question = house.ask(name)
        card = house.card(question)
        house.heard()
        house.daemon.react(ANN, YES, card.at)
        killed(made, chance.uniform(0.0, 0.03))
        revived(both)
        until(lambda ref=question["id"]: house.state(ref) == "approved", "the thumb from before the kill")
        assert [house.again(name), house.again(name)] == ["allow", "ask"]
        assert house.effects(name) == 1
        assert answers(house, question["id"]) == ["approved", "consumed"]
        house.settle()


def test_a_daemon_that_tells_everything_again_changes_nothing(house: Reached) -> None:
    question = house.ask("again")
    card = house.card(question)
    events: list[str] = []
    emit = house.daemon.emit

    def keep(data: str) -> None:
        events.append(data)
        emit(data)

    house.daemon.emit = keep  # type: ignore[method-assign] # to have what was said, word for word
    try:
        house.daemon.react(ANN, YES, card.at)
        house.daemon.say(CARL, "only once")
        house.daemon.say(ANN, "stop")
    finally:
        house.daemon.emit = emit  # type: ignore[method-assign] # as it was
    every = [row["id"] for row in house.made.client.request("agents_list")]
    until(lambda: _contained(house) == every, "the stop")
    for agent in every:
        house.made.client.request("release", agent=agent)
    house.heard()
    heard = len([text for text in house.told(CARL) if "I heard you" in text])
    for order in (events, events[::-1]):
        for data in order:
            emit(data)
        house.daemon.drop()
        connected = house.daemon.connected
        until(lambda before=connected: house.daemon.connected > before, "the next connection", 2 * SECONDS)
    house.heard()
    assert _contained(house) == []
    assert len([text for text in house.told(CARL) if "I heard you" in text]) == heard
    assert answers(house, question["id"])[0] == "approved"
    assert house.effects("again") == 0
    assert house.again("again") == "ask"


def test_a_card_that_went_out_twice_is_answered_once_and_a_thumb_that_missed_is_told(house: Reached) -> None:
    house.heard()
    quiet = [0, 0]
    while quiet[-1] < 50:  # so that what is lost is the card, and no news of what other tests left
        count = len(house.daemon.sent)
        quiet = [count, quiet[-1] + 1 if count == quiet[0] else 0]
        time.sleep(0.01)
    house.daemon.faults.lost = 1
    question = house.ask("twice")

    def copies() -> list[Sent]:
        mine = [
            each for each in house.daemon.sent if each.to == ANN.number and f"QUESTION {question['code']}" in each.text
        ]
        return mine if len(mine) == 2 else []

    first, second = until(copies, "the card, and once more")
    until(lambda: house.daemon.react(ANN, YES, first.at) and _missed(house), "that it missed")
    assert (house.state(question["id"]), house.again("twice")) == ("pending", "ask")
    house.daemon.react(ANN, YES, second.at)
    until(lambda: house.state(question["id"]) == "approved", "the thumb on the last copy")
    assert [house.again("twice"), house.again("twice")] == ["allow", "ask"]
    assert house.effects("twice") == 1


def _missed(house: Reached) -> bool:
    house.heard()
    return any("Your thumb is on a message" in text for text in house.told(ANN))


def _contained(house: Reached) -> list[str]:
    return [row["id"] for row in house.made.client.request("agents_list") if row["contained"]]


def test_a_busy_database_approves_nothing_and_loses_nothing(house: Reached) -> None:
    question, secret = house.ask("busy"), house.token("busy")["token"]
    card = house.card(question)
    house.heard()
    with sqlite3.connect(house.made.home / "state" / "bascule.db", timeout=20, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert over_http(house, secret, question, "approve")() == 503
        assert other.execute("SELECT state FROM desk WHERE id = ?", (question["id"],)).fetchone() == ("pending",)
        house.daemon.react(ANN, YES, card.at)
        time.sleep(0.2)
        other.execute("ROLLBACK")
    until(lambda: house.state(question["id"]) == "approved", "the thumb that could not be written at first")
    assert (house.again("busy"), house.effects("busy")) == ("allow", 1)
    assert answers(house, question["id"]) == ["approved", "consumed"]


def fill(filler: Path) -> None:
    """Leave no byte on the disk the filler lies on."""
    with filler.open("ab", buffering=0) as file:
        for length in (65536, 4096, 512, 1):
            with suppress(OSError):
                while file.write(b"x" * length):
                    pass


@contextmanager
def small_state(both: tuple[Reached, Killable]) -> Iterator[Any]:
    """Let the gateway keep its state on a disk of two megabytes, which ``yield`` names a file on."""
    reached, made = both
    state = made.home / "state"
    owner = state.stat()
    made.stop()
    option = f"size=2m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(state)], check=True)
    connected = reached.daemon.connected
    try:
        made.start()
        until(lambda: reached.daemon.connected > connected, "the bridge")
        yield state / "filler"
    finally:
        made.stop()
        subprocess.run(["umount", str(state)], check=True)
        made.start()


def test_a_full_disk_approves_nothing_and_loses_nothing(both: tuple[Reached, Killable]) -> None:
    house = both[0]
    with small_state(both) as filler:
        question, secret = house.ask("full"), house.token("full")["token"]
        card = house.card(question)
        house.heard()
        fill(filler)
        assert over_http(house, secret, question, "deny")() == 503
        assert house.state(question["id"]) == "pending"
        house.daemon.react(ANN, YES, card.at)
        time.sleep(0.3)
        assert (house.state(question["id"]), house.effects("full")) == ("pending", 0)
        filler.unlink()
        until(lambda: house.state(question["id"]) == "approved", "the thumb that did not fit at first")
        assert (house.again("full"), house.effects("full")) == ("allow", 1)
        house.heard()
        fill(filler)
        # What cannot be stored does not stand in the way of a stop that comes after it.
        house.daemon.say(CARL, "there is no room for this")
        house.daemon.say(ANN, "stop")
        until(lambda: MAIN in _contained(house), "the stop")
        filler.unlink()
        until(lambda: any("Stopped:" in text for text in house.told(ANN)), "the stop, stored and answered")
        for agent in _contained(house):
            house.made.client.request("release", agent=agent)


def _waited(house: Reached, name: str) -> dict[str, Any]:
    args = str(house.args(name)).replace("'", '"').replace("True", "true")
    options = {"session": None, "dry_run": False, "wait": 20.0, "as_operator": False}
    with client_of(house.made.home) as client:
        return dict(client.request("call", agent=MAIN, tool="write", args_text=args, **options))
