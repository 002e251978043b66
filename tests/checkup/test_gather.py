import os
from pathlib import Path

import pytest

from bascule.checkup.gather import _delegations, _names, elsewhere, gather, parse_status
from bascule.checkup.machine import AGENT, GATEWAY, Delegation
from bascule.checkup.ownership import Who
from bascule.core.ids import AgentId
from bascule.host import accounts
from bascule.host.accounts import Accounts
from bascule.host.people import Tables, parse

BASE = 1_999_100_000


def test_a_real_process_is_read_as_the_kernel_has_it(tmp_path):
    accounts.store(tmp_path, Accounts(BASE + 1, 8, BASE, {AgentId("main"): BASE + 1}))
    found = gather(tmp_path, os.getpid())
    assert found.running is not None
    assert found.running.uids == {os.getuid()}
    assert [(subject.role, subject.account.uid) for subject in found.subjects] == [(GATEWAY, BASE), (AGENT, BASE + 1)]
    assert all(way.path.startswith("/") and not way.missing for way in found.path)
    assert found.path
    assert found.settings["kernel.core_pattern"] == Path("/proc/sys/kernel/core_pattern").read_text().strip()


def test_what_is_not_there_is_unseen_and_not_harmless(tmp_path):
    found = gather(tmp_path, 1 << 22)
    assert found.running is None
    assert any(str(1 << 22) in line for line in found.unread)
    assert gather(tmp_path).running is None


@pytest.mark.parametrize(
    ("table", "rootless"),
    [
        (Accounts(BASE + 1, 8, BASE, {}), False),
        (Accounts(100_000, 8, 1000, {}), True),
        (Accounts(1000, 0, 1000, {AgentId("main"): 1000}), True),
    ],
)
def test_a_gateway_under_a_persons_own_account_is_rootless(tmp_path, table, rootless):
    accounts.store(tmp_path, table)
    found = gather(tmp_path)
    assert found.rootless is rootless
    # An account that agents share with the gateway is the gateway's.
    assert [subject.role for subject in found.subjects] == [GATEWAY]


STATUS = (
    "Name:\tx\nUid:\t7\t7\t7\t7\nGroups:\t4 50 \nNoNewPrivs:\t1\n"
    "CapInh:\t0\nCapPrm:\t1\nCapEff:\t2\nCapBnd:\t000001ffffffffff\nCapAmb:\t4\n"
)


def test_every_set_of_capabilities_is_kept_apart():
    found = parse_status(9, STATUS)
    assert (found.permitted, found.effective, found.inheritable, found.ambient) == (1, 2, 0, 4)
    assert (found.bounding, found.no_new_privs) == (0x1FFFFFFFFFF, True)
    assert (found.uids, found.groups) == ({7}, {4, 50})
    with pytest.raises((KeyError, ValueError)):
        parse_status(9, STATUS.replace("CapEff", "CapX"))


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        (None, ()),
        ("passwd: files systemd\ngroup:files\nhosts: files dns\n", ()),
        ("passwd: files [SUCCESS=return] sss # ldap\ngroup: files ldap", ("ldap", "sss")),
        ("initgroups: winbind", ("winbind",)),
    ],
)
def test_accounts_from_elsewhere_are_named(text, sources):
    assert elsewhere(text) == sources


RANGE = "bascule-agents:5000:10\nmallory:5000:10\n"


def test_the_installations_own_line_is_nobodys_to_use():
    def found(passwd: str) -> list[Delegation]:
        tables: Tables = parse(passwd, "")
        return list(_delegations(RANGE, _names(Who(frozenset(), BASE, {}, tables))))

    assert found("") == [Delegation("mallory", 5000, 10)]
    assert Delegation("bascule-agents", 5000, 10) in found("bascule-agents:x:77:77::/:/bin/sh\n")
