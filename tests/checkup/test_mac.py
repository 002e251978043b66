import sqlite3

from bascule.checkup.mac import look, open_database
from bascule.checkup.tcc import Grant


def database(path, *rows):
    with sqlite3.connect(path) as made:
        made.execute(
            "CREATE TABLE access (service TEXT, client TEXT, client_type INTEGER, auth_value INTEGER, other TEXT)"
        )
        made.executemany("INSERT INTO access VALUES (?, ?, ?, ?, '')", rows)
    made.close()


def test_a_database_is_read_and_left_as_it_is(tmp_path):
    path = tmp_path / "T #?.db"
    database(path, ("kTCCServiceCalendar", "/bin/x", 1, 2), ("kTCCServiceCalendar", "/bin/y", 1, 0))
    before = path.read_bytes()
    seen = open_database(path)
    assert (seen.readable, seen.grants) == (True, (Grant("kTCCServiceCalendar", "/bin/x", True, False),))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_one_that_cannot_be_opened_is_an_answer(tmp_path):
    assert not open_database(tmp_path / "none.db").readable
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "noise.db").write_bytes(b"noise" * 1000)
    assert open_database(tmp_path / "noise.db").odd_rows == 1
    with sqlite3.connect(tmp_path / "other.db") as made:
        made.execute("CREATE TABLE x (y)")
    made.close()
    assert (open_database(tmp_path / "other.db").readable, open_database(tmp_path / "other.db").odd_rows) == (True, 1)


def test_elsewhere_there_is_nothing_to_see(tmp_path):
    assert {finding.check for finding in look(tmp_path)} == {"mac.unseen"}
