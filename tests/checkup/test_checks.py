import stat

import pytest

from bascule.checkup.checks import CHECKS, examine
from bascule.checkup.machine import AGENT, GATEWAY, Delegation, Machine, Raised, Running, Subject
from bascule.checkup.ownership import Thing, Way, Who
from bascule.core.finding import Severity
from bascule.core.rights import Account
from bascule.host.people import parse

INFO, WARN, CRITICAL = Severity
OPERATOR, GATE, BOT = 1000, 900, 901
TABLES = parse("ann:x:1000:1000::/:/bin/sh\nmallory:x:1001:1001::/:/bin/sh\n", "docker:x:50:mallory\n")
WHO = Who(frozenset({OPERATOR}), GATE, {BOT: "main"}, TABLES)
GOOD = Running(7, frozenset({GATE}), frozenset(), 0, 0, 0, 0, 0, no_new_privs=True)
QUIET = {"kernel.yama.ptrace_scope": "1", "kernel.core_pattern": "core"}


def gateway(person=False, **changes):
    account = Account(GATE, *changes.pop("account", ()))
    return Subject(GATEWAY, "the gateway", account, person, **changes)


def agent(*account, **changes):
    return Subject(AGENT, "agent main", Account(BOT, *account), gids=frozenset({BOT}), **changes)


def machine(*subjects, settings=(), **changes):
    given = {"rootless": False, "running": GOOD, "subjects": subjects or (gateway(), agent())}
    return Machine(who=WHO, settings={**QUIET, **dict(settings)}, **{**given, **changes})


def said(found):
    return [(finding.check.removeprefix("host."), finding.severity) for finding in examine(found)]


def way(path="/run/docker.sock", uid=0, gid=50, mode=0o660, kind=stat.S_IFSOCK, folder=0o755, missing=False):
    root = Thing("/", stat.S_IFDIR, 0, 0, folder)
    end = Thing(path, kind, uid, gid, mode)
    return Way(path, ((None, root),) if missing else ((None, root), (root, end)), missing)


def test_a_machine_in_order_has_nothing_to_say():
    assert examine(machine()) == ()


def test_every_check_has_a_name_of_its_own():
    assert len({name for name, _ in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    ("spoiled", "expected"),
    [
        (machine(agent("bot", ("docker",))), [("account_group", CRITICAL), ("account_named", INFO)]),
        (machine(gateway(account=("gw", ("sudo",)))), [("account_group", CRITICAL)]),
        (machine(gateway(person=True, account=("ann", ("sudo",)))), [("account_group", WARN)]),
        (machine(gateway(account=("gw", ("shadow",)))), [("account_reads", WARN)]),
        (machine(gateway(person=True, account=("ann", ("adm",)))), [("account_reads", INFO)]),
        (machine(gateway(account=("gw", ("kvm", "gw")))), [("account_devices", INFO)]),
        (machine(agent("", (), ("f:1",))), [("account_sudo", CRITICAL)]),
        (machine(gateway(person=True, account=("ann", (), ("f:1",)))), [("account_sudo", INFO)]),
        (machine(gateway(person=True, account=("ann", (), ("f:1 (NOPASSWD)",)))), [("account_sudo", WARN)]),
        (machine(agent("bot")), [("account_named", INFO)]),
        (machine(gateway(keys=("/k",))), [("account_login", WARN)]),
        (machine(gateway(password=True)), [("account_login", WARN)]),
        (machine(gateway(shells=("/bin/bash",))), [("account_login", INFO)]),
        (machine(gateway(shells=("",))), [("account_login", INFO)]),
        (machine(gateway(shells=("/usr/sbin/nologin",), password=False)), []),
        (machine(gateway(person=True, shells=("/bin/bash",), password=True, keys=("/k",), jobs=("/j",))), []),
        (machine(gateway(jobs=("/j",))), [("account_jobs", WARN)]),
        (machine(delegations=(Delegation("mallory", 900, 2),)), [("account_delegated", CRITICAL)]),
        (machine(delegations=(Delegation("mallory", 902, 9), Delegation("mallory", 0, 901))), []),
        (machine(unread=("x",)), [("tables_unread", WARN)]),
        (machine(odd_lines=2), [("tables_unread", INFO)]),
        (machine(elsewhere=("sss",)), [("tables_unread", WARN)]),
        (machine(sudo_unread=("x",)), [("sudo_unread", WARN)]),
        (machine(running=None), [("gateway_unseen", INFO)]),
    ],
)
def test_what_an_account_is_granted_is_told_by_how_bad_it_is(spoiled, expected):
    assert said(spoiled) == expected


@pytest.mark.parametrize(
    ("held", "severity"),
    [
        ({"uids": frozenset({GATE, 0})}, CRITICAL),
        ({"permitted": 1}, CRITICAL),
        ({"effective": 1}, CRITICAL),
        ({"inheritable": 1}, CRITICAL),
        ({"ambient": 1}, CRITICAL),
        ({"no_new_privs": False}, CRITICAL),
        ({"groups": frozenset({50})}, CRITICAL),
        ({"bounding": 1}, WARN),
    ],
)
def test_a_gateway_that_kept_a_right_is_told(held, severity):
    base = {name: getattr(GOOD, name) for name in GOOD.__slots__}
    assert said(machine(running=Running(**(base | held)))) == [("gateway_rights", severity)]


def test_a_rootless_gateway_keeps_its_persons_groups_and_bounding_set():
    base = {name: getattr(GOOD, name) for name in GOOD.__slots__}
    kept = Running(**(base | {"groups": frozenset({4, 50}), "bounding": 0xFF}))
    assert said(machine(running=kept, rootless=True)) == []


@pytest.mark.parametrize(
    ("socket", "subject", "expected"),
    [
        (way(gid=77), agent(), []),
        (way(), agent(), [("engine_socket", INFO)]),  # mallory is as good as root
        (way(mode=0o666, gid=77), agent(), [("engine_socket", CRITICAL)]),
        (way(mode=0o666, gid=77, folder=0o750), agent(), []),
        (way(gid=BOT), agent(), [("engine_socket", CRITICAL)]),
        (way(uid=BOT, gid=77), agent(), [("engine_socket", CRITICAL)]),
        (way(gid=50), gateway(person=True, gids=frozenset({50})), [("engine_socket", WARN), ("engine_socket", INFO)]),
        (way(gid=50), gateway(gids=frozenset({50})), [("engine_socket", CRITICAL), ("engine_socket", INFO)]),
    ],
)
def test_who_reaches_an_engine_is_told(socket, subject, expected):
    assert said(machine(subject, sockets=(socket,))) == expected


@pytest.mark.parametrize(
    ("uid", "severity"), [(BOT, CRITICAL), (GATE, CRITICAL), (1001, WARN), (OPERATOR, WARN), (0, None)]
)
def test_who_could_plant_a_program_for_root_is_told(uid, severity):
    place = way("/usr/local/bin", uid=uid, gid=0, mode=0o755, kind=stat.S_IFDIR)
    assert said(machine(path=(place,))) == ([] if severity is None else [("root_path", severity)])
    open_to_all = way("/usr/local/bin", gid=0, mode=0o777, kind=stat.S_IFDIR)
    assert said(machine(path=(open_to_all,))) == [("root_path", CRITICAL)]


SU, ODD = Raised("/usr/bin/su", "setuid root", "4755 0"), Raised("/opt/odd", "setuid root", "4755 1", ("agent main",))


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, [("/opt/odd", WARN), ("/usr/bin/su", INFO)]),
        ({}, [("/opt/odd", WARN), ("/usr/bin/su", WARN)]),
        ({SU.path: SU.identity}, [("/opt/odd", WARN)]),
        ({SU.path: "4755 9", ODD.path: ODD.identity}, [("/usr/bin/su", WARN)]),
        ({SU.path: SU.identity, ODD.path: ODD.identity, "/gone": "x"}, []),
    ],
)
def test_files_that_raise_are_told_until_they_are_accepted_and_again_when_they_change(accepted, expected):
    found = examine(machine(raised=(SU, ODD), accepted=accepted))
    told = sorted((next(each.path for each in (SU, ODD) if each.path in one.detail), one.severity) for one in found)
    assert told == expected
    assert all("agent main" in one.detail for one in found if ODD.path in one.detail)


def test_a_look_that_was_not_complete_is_told():
    assert said(machine(raised=(), closed="3 directories")) == [("setuid_unseen", WARN)]


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("kernel.yama.ptrace_scope", "0", ("ptrace", WARN)),
        ("kernel.yama.ptrace_scope", None, ("ptrace", INFO)),
        ("fs.suid_dumpable", "1", ("core_dumps", WARN)),
        ("fs.suid_dumpable", "2", None),
        ("fs.protected_hardlinks", "0", ("protected_files", WARN)),
        ("fs.protected_regular", "2", None),
        ("kernel.unprivileged_bpf_disabled", "0", ("kernel_surface", INFO)),
        ("kernel.unprivileged_bpf_disabled", "2", None),
        ("kernel.perf_event_paranoid", "-1", ("kernel_surface", INFO)),
        ("dev.tty.legacy_tiocsti", "1", ("kernel_surface", INFO)),
        ("vm.unprivileged_userfaultfd", "0", None),
        ("kernel.unprivileged_userns_clone", "0", ("user_namespaces", INFO)),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", ("user_namespaces", INFO)),
        ("fs.protected_fifos", "many", None),
    ],
)
def test_settings_of_the_kernel(setting, value, expected):
    settings = {name: text for name, text in {**QUIET, setting: value}.items() if text is not None}
    found = Machine(rootless=False, who=WHO, running=GOOD, settings=settings)
    assert said(found) == ([] if expected is None else [expected])


def test_a_rootless_home_needs_user_namespaces():
    found = machine(rootless=True, settings={"user.max_user_namespaces": "0"})
    assert said(found) == [("user_namespaces", CRITICAL)]
    assert "sysctl -w user.max_user_namespaces=" in examine(found)[0].remedy


@pytest.mark.parametrize(
    ("helper", "expected"),
    [
        (way("/usr/lib/dump", gid=0, mode=0o755, kind=stat.S_IFREG), INFO),
        (way("/usr/lib/dump", uid=BOT, mode=0o755, kind=stat.S_IFREG), CRITICAL),
        (way("/usr/lib/dump", missing=True), WARN),
    ],
)
def test_where_crashes_go(helper, expected):
    found = machine(settings={"kernel.core_pattern": "|/usr/lib/dump %p"}, helper=helper)
    assert said(found) == [("core_dumps", expected)]


def test_a_raw_bridge_that_nothing_could_hold_is_told() -> None:
    assert said(machine(bridged=("bruba-web",), has_nft=False)) == [("packet_rules", WARN)]
    assert said(machine(bridged=("bruba-web",))) == []
    assert said(machine(has_nft=False)) == []
