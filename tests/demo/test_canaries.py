"""Canaries notice what happened, and controls undo what they did."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.canaries import Listener, Watch, differences, snapshot, succeeds_without
from demo.steps import Canary, Step


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def test_a_text_is_seen_where_it_turns_up(listener: Listener) -> None:
    watch = Watch(Canary(text="token"), listener)
    assert watch.state([b"nothing", b"a token here"]) == "seen"
    assert watch.state([b"nothing"]) == "unseen"


def test_a_file_is_made_changed_or_left_alone(tmp_path: Path, listener: Listener) -> None:
    file = tmp_path / "file"
    absent = Watch(Canary(file=str(file)), listener)
    assert absent.state([]) == "absent"
    file.write_text("one")
    assert absent.state([]) == "made"
    there = Watch(Canary(file=str(file)), listener)
    assert there.state([]) == "untouched"
    file.write_text("two")
    assert there.state([]) == "changed"
    there.restore()
    assert file.read_text() == "one"
    absent.restore()
    assert not file.exists()


def test_a_service_counts_its_visitors(listener: Listener) -> None:
    watch = Watch(Canary(visits=True), listener)
    assert watch.state([]) == "unvisited"
    socket.create_connection(("127.0.0.1", listener.port)).close()
    assert watch.state([]) == "visited"


STEP = Step("t", "o", "exec", {}, "s", Canary(), frozenset({"denied"}), "untouched", "", "no", "chat", "", 1, False)


@pytest.mark.parametrize(("deed", "succeeds"), [("echo x > file", True), ("true", False)])
def test_a_control_does_the_deed_and_undoes_it(
    tmp_path: Path, listener: Listener, deed: str, *, succeeds: bool
) -> None:
    (tmp_path / "file").write_text("before")
    step = dataclasses.replace(STEP, canary=Canary(file=str(tmp_path / "file")), without=deed)
    assert succeeds_without(step, listener, tmp_path, "key") is succeeds
    assert (tmp_path / "file").read_text() == "before"


def test_a_control_that_looks_for_a_key_finds_it(tmp_path: Path, listener: Listener) -> None:
    step = dataclasses.replace(STEP, canary=Canary(text="the-key"), state="unseen", without="env")
    assert succeeds_without(step, listener, tmp_path, "the-key")


def test_every_difference_is_named(tmp_path: Path) -> None:
    for name in ("same", "changed", "removed"):
        (tmp_path / name).write_text("x")
    before = snapshot([tmp_path])
    (tmp_path / "changed").write_text("y")
    (tmp_path / "removed").unlink()
    (tmp_path / "made").write_text("x")
    found = differences(before, snapshot([tmp_path]))
    assert [path.name for path in found] == ["changed", "made", "removed"]


def test_what_only_the_ledger_knows_is_not_guessed(listener: Listener) -> None:
    assert Watch(Canary(reached=True), listener).state([b"x"]) == ""
