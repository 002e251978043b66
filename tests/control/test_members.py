"""Group membership by the machine's tables; accounts made for the purpose are tried in tests/host/test_live_install."""

from __future__ import annotations

import grp
import os
import pwd

from bascule.control.members import is_member


def test_the_primary_group_counts() -> None:
    person = pwd.getpwuid(os.geteuid())
    assert is_member(person.pw_uid, grp.getgrgid(person.pw_gid).gr_name)


def test_another_group_does_not() -> None:
    mine = set(os.getgrouplist(pwd.getpwuid(os.geteuid()).pw_name, pwd.getpwuid(os.geteuid()).pw_gid))
    other = next(group.gr_name for group in grp.getgrall() if group.gr_gid not in mine)
    assert not is_member(os.geteuid(), other)


def test_no_group_no_account_no_membership() -> None:
    assert not is_member(0, "")
    assert not is_member(0, "no-such-group-here")
    assert not is_member(4_000_000_001, grp.getgrgid(0).gr_name)
