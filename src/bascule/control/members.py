"""Whether an account is in a group, by the machine's own tables at this moment.

Stops: a person who was taken out of the group going on as an operator until the gateway is started anew, and a process
claiming a group that its account does not have: the tables are asked, not the peer's credentials. Does not stop: a
connection that was opened before.
"""

from __future__ import annotations

import grp
import os
import pwd


def is_member(uid: int, group: str) -> bool:
    """True if the account has the group, as its primary one or besides; False where either is in no table.

    Args:
        uid: kernel uid.
        group: the group's name, empty for none.
    """
    if not group:
        return False
    try:
        wanted, person = grp.getgrnam(group).gr_gid, pwd.getpwuid(uid)
        return wanted in os.getgrouplist(person.pw_name, person.pw_gid)
    except (KeyError, OSError):
        return False
