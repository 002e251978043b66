"""``bascule host check`` and ``seatbelt`` on a real home, without a gateway."""

from __future__ import annotations

import json

import pytest
from tests.living import verb

from bascule.checkup import accepted, raising
from bascule.cli.main import run


@pytest.fixture
def home(tmp_path):
    assert verb(tmp_path / "home", "init", "--team", "bruba").returncode == 0
    return tmp_path / "home"


def said(capsys, *words):
    status = run(words)
    return status, json.loads(capsys.readouterr().out)


def test_what_was_accepted_is_not_told_again_until_it_changes(home, capsys, monkeypatch):
    program = home / "raised"
    program.write_text("x")
    program.chmod(0o4755)
    monkeypatch.setattr(raising, "mounts", lambda _text: (str(home),))
    words = ("--home", str(home), "host", "check", "--json")

    def told(*more):
        return [each["detail"] for each in said(capsys, *words, *more)[1]["findings"] if each["id"] == "host.setuid"]

    assert "none that distributions install" in told()[0]
    (home / accepted.NAME).write_text("a broken list is no hindrance to a new one")
    assert told("--accept") == told() == []
    program.write_text("xy")
    program.chmod(0o4755)
    assert "has changed since you accepted it" in told()[0]
    assert told("--quick") == []


def test_the_status_says_whether_anything_is_critical(home, capsys):
    words = ("--home", str(home), "host", "check", "--quick", "--json")
    status, found = said(capsys, *words)
    assert (status, found["ok"]) == ((0, True) if found["ok"] else (1, False))
    assert found["ok"] is all(each["severity"] != "critical" for each in found["findings"])


def test_a_profile_is_printed_with_the_word_that_nobody_has_tried_it(home, capsys):
    assert run(("--home", str(home), "host", "seatbelt", "bruba-main")) == 0
    printed = capsys.readouterr()
    assert "untested" in printed.err
    assert printed.out.startswith("; untested")
    assert f'(subpath "{home}/agents/bruba-main/workspace")' in printed.out
    assert '(literal "/usr/bin/grep")' in printed.out
    assert said(capsys, "--home", str(home), "host", "seatbelt", "bruba-main", "--json")[1]["untested"] is True
    assert run(("--home", str(home), "host", "seatbelt", "nobody")) == 2
