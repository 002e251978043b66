import os
import struct

from bascule.checkup.machine import AGENT, Subject
from bascule.checkup.raising import look_below, mounts
from bascule.core.rights import Account
from bascule.host.people import Tables

BOT = 4242
SUBJECT = Subject(AGENT, "agent main", Account(BOT), gids=frozenset({BOT}))


def program(path, mode, uid=0, gid=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.chown(path, uid, gid)
    path.chmod(mode)
    return path


def look(place, *subjects):
    return look_below((str(place),), subjects or (SUBJECT,), Tables())


def test_files_that_raise_are_found_with_who_may_start_them(passable):
    place = passable
    program(place / "a/su", 0o4755)
    program(place / "a/group", 0o2755)
    program(place / "a/closed", 0o4750)
    program(place / "a/plain", 0o755)
    program(place / "a/bit-without-x", 0o4644)
    able = program(place / "a/able", 0o755)
    os.setxattr(able, "security.capability", struct.pack("<5I", 0x02000000, 1 << 10, 0, 0, 0))
    (place / "a/link").symlink_to(place / "a/su")
    found = {each.path.removeprefix(f"{place}/a/"): each for each in look(place).found}
    assert {name: each.how for name, each in found.items()} == {
        "su": "setuid root",
        "group": "setgid 0",
        "closed": "setuid root",
        "able": "capabilities 0x400",
    }
    assert {name for name, each in found.items() if each.reached} == {"su", "group", "able"}
    assert found["su"].reached == ("agent main",)


def test_a_changed_file_has_another_identity(passable):
    place = passable
    path = program(place / "su", 0o4755)
    [before] = look(place).found
    path.write_text("xy")
    path.chmod(0o4755)
    [after] = look(place).found
    assert before.identity != after.identity


def test_what_nobody_of_ours_could_pass_is_left_alone_and_what_one_could_is_not(passable):
    place = passable
    program(place / "shut/su", 0o4755)
    (place / "shut").chmod(0o700)
    assert look(place).found == []
    os.chown(place / "shut", BOT, BOT)
    assert [each.path for each in look(place).found] == [f"{place}/shut/su"]


def test_a_look_that_runs_out_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("bascule.checkup.raising.MOST_ENTRIES", 2)
    made = look(tmp_path)
    made.left = 0
    assert "more than 2 files" in made.why
    assert look(tmp_path).why == ""


def test_file_systems_without_setuid_are_passed_over():
    text = (
        "22 27 0:21 / /proc rw,nosuid - proc proc rw\n27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "28 27 0:25 / /tmp rw,nosuid,nodev shared:1 - tmpfs tmpfs rw\n"
        "29 27 0:26 / /mnt/a\\040b rw shared:2 master:1 - xfs /dev/vdb rw\n30 27 0:9 / /sys rw - sysfs sysfs rw\nnonsense\n"
    )
    assert mounts(text) == ("/", "/mnt/a b")
