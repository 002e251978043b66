"""What SQLite says, in our words."""

from __future__ import annotations

import apsw
import pytest

from bascule.core.errors import BasculeError, Tampered, Unavailable
from bascule.state.faults import disk_full, fault

TABLE = [
    (apsw.FullError, Unavailable, "disk_full"),
    (apsw.BusyError, Unavailable, "state_busy"),
    (apsw.LockedError, Unavailable, "state_busy"),
    (apsw.ReadOnlyError, Unavailable, "state_read_only"),
    (apsw.CantOpenError, Unavailable, "state_cannot_open"),
    (apsw.PermissionsError, Unavailable, "state_cannot_open"),
    (apsw.CorruptError, Tampered, "state_corrupt"),
    (apsw.NotADBError, Tampered, "state_corrupt"),
    (apsw.IOError, Unavailable, "state_io"),
    (apsw.NoMemError, Unavailable, "state_memory"),
]


@pytest.mark.parametrize(("kind", "ours", "code"), TABLE)
def test_states_of_the_machine_become_one_line(kind: type[apsw.Error], ours: type[BasculeError], code: str) -> None:
    said = fault(kind("SQL of somebody\nin two lines"), "/home/of/x.db")
    assert isinstance(said, ours)
    assert (said.code, "\n" in str(said), "somebody" in str(said)) == (code, False, False)


def test_an_index_that_cannot_grow_is_a_full_disk() -> None:
    error = apsw.IOError("disk I/O error")
    error.extendedresult = apsw.SQLITE_IOERR_SHMSIZE
    assert str(fault(error, "x.db")) == str(disk_full("x.db"))


@pytest.mark.parametrize("kind", [apsw.ConstraintError, apsw.SQLError, apsw.MisuseError])
def test_mistakes_stay_what_they_are(kind: type[apsw.Error]) -> None:
    error = kind("no such column")
    assert fault(error, "x.db") is error
