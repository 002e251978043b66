import os

from bascule.checkup import system
from bascule.checkup.raising import Look
from bascule.checkup.system import Watch, picture
from bascule.core.errors import Unavailable
from bascule.core.finding import Severity


def test_a_process_that_kept_its_rights_is_critical_and_one_look_lasts_a_while(tmp_path, monkeypatch):
    looks = []
    gather = system.gather
    monkeypatch.setattr(system, "gather", lambda *given: looks.append(given) or gather(*given))
    watch = Watch(tmp_path, os.getpid(), ())
    # These tests run with rights that a gateway gives up.
    assert "host.gateway_rights" in {finding.check for finding in watch.critical()}
    assert {finding.severity for finding in watch.critical()} == {Severity.CRITICAL}
    assert len(looks) == 1
    monkeypatch.setattr(system, "KEPT_SECONDS", -1.0)
    watch.critical()
    assert len(looks) == 2


def test_a_machine_that_cannot_be_looked_at_is_no_machine_in_order(tmp_path, monkeypatch):
    def refuse(*_given):
        raise Unavailable("table_unreadable", "/etc/passwd cannot be read")

    monkeypatch.setattr(system, "gather", refuse)
    [found] = Watch(tmp_path, os.getpid(), ()).critical()
    assert (found.check, found.severity) == ("host.tables_unread", Severity.CRITICAL)


def test_files_that_raise_are_looked_for_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "look_everywhere", lambda *_given: Look())
    assert picture(tmp_path, None, raising=False).raised is None
    assert picture(tmp_path, None, raising=True).raised == ()
