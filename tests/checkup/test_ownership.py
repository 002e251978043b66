import stat

import pytest

from bascule.checkup.ownership import EVERYBODY, Grant, Model, Thing, Way, Who, hold, model_of, worst, writers_of
from bascule.host.people import parse

OPERATOR, GATEWAY, AGENT, OTHER = 1000, 900, 901, 1001
TABLES = parse(
    "ann:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n", "ann:x:1000:\nbob:x:1001:\ncrew:x:50:ann,bob\n"
)
WHO = Who(frozenset({OPERATOR}), GATEWAY, {AGENT: "main"}, TABLES)


def directory(path, uid=0, mode=0o755, gid=0, grants=()):
    return Thing(path, stat.S_IFDIR, uid, gid, mode, tuple(grants))


def file(path="/h/p", uid=0, mode=0o644, gid=0, grants=()):
    return Thing(path, stat.S_IFREG, uid, gid, mode, tuple(grants))


def way(*things, missing=False):
    holders = [None, *things[:-1]]
    return Way("/h/p", tuple(zip(holders, things, strict=True)), missing)


def model(*things, who=WHO, missing=False):
    return model_of(writers_of(way(*things, missing=missing), who), who)


ROOT = directory("/")


@pytest.mark.parametrize(
    ("things", "expected"),
    [
        ((ROOT, directory("/h"), file()), Model.ROOT_OWNED),
        ((ROOT, directory("/h"), file(mode=0o444)), Model.ROOT_OWNED),
        ((ROOT, directory("/h"), file(uid=OPERATOR)), Model.OPERATOR_OWNED),
        ((ROOT, directory("/h"), file(uid=OPERATOR, mode=0o400)), Model.OPERATOR_OWNED),
        ((ROOT, directory("/h", uid=OPERATOR), file()), Model.OPERATOR_OWNED),
        ((ROOT, directory("/h"), file(uid=GATEWAY)), Model.BOT_OWNED),
        ((ROOT, directory("/h", uid=GATEWAY), file()), Model.BOT_OWNED),
        ((ROOT, directory("/h"), file(uid=AGENT)), Model.EXPOSED),
        ((ROOT, directory("/h", uid=AGENT), file()), Model.EXPOSED),
        ((ROOT, directory("/h"), file(uid=OTHER)), Model.EXPOSED),
        ((directory("/", uid=OTHER), directory("/h"), file()), Model.EXPOSED),
        # Modes.
        ((ROOT, directory("/h"), file(mode=0o666)), Model.EXPOSED),
        ((ROOT, directory("/h", mode=0o777), file()), Model.EXPOSED),
        ((ROOT, directory("/h", mode=0o776), file()), Model.ROOT_OWNED),  # without the x it cannot be entered
        ((ROOT, directory("/h", mode=0o1777), file()), Model.ROOT_OWNED),
        ((ROOT, directory("/h", mode=0o1777), file(uid=OPERATOR)), Model.OPERATOR_OWNED),
        ((ROOT, directory("/h", mode=0o1777), directory("/h/d", uid=OTHER), file()), Model.EXPOSED),
        # Groups.
        ((ROOT, directory("/h"), file(mode=0o664, gid=1000)), Model.OPERATOR_OWNED),
        ((ROOT, directory("/h"), file(mode=0o664, gid=50)), Model.EXPOSED),
        ((ROOT, directory("/h"), file(mode=0o664, gid=77)), Model.ROOT_OWNED),  # in which nobody is
        ((ROOT, directory("/h"), file(mode=0o664, gid=AGENT)), Model.EXPOSED),
        ((ROOT, directory("/h"), file(mode=0o664, gid=GATEWAY)), Model.BOT_OWNED),
        ((ROOT, directory("/h", mode=0o775, gid=50), file()), Model.EXPOSED),
        # Access lists, in which the mode's group bits are but the mask.
        ((ROOT, directory("/h"), file(grants=[Grant(False, AGENT, 6)])), Model.EXPOSED),
        ((ROOT, directory("/h"), file(grants=[Grant(False, AGENT, 4)])), Model.ROOT_OWNED),
        ((ROOT, directory("/h", grants=[Grant(False, AGENT, 3)]), file()), Model.EXPOSED),
        ((ROOT, directory("/h", grants=[Grant(False, AGENT, 2)]), file()), Model.ROOT_OWNED),
        ((ROOT, directory("/h"), file(grants=[Grant(True, 50, 2)])), Model.EXPOSED),
        ((ROOT, directory("/h"), file(mode=0o664, gid=50, grants=[Grant(True, 50, 4)])), Model.ROOT_OWNED),
    ],
)
def test_whose_a_file_is(things, expected):
    assert model(*things) is expected


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_file_that_is_not_there_is_made_by_whoever_may_write_the_directory(mode):
    assert model(ROOT, directory("/h", mode=mode), missing=True) is Model.EXPOSED
    assert model(ROOT, directory("/h", uid=GATEWAY), missing=True) is Model.BOT_OWNED
    assert model(ROOT, directory("/h"), missing=True) is Model.ROOT_OWNED
    assert hold(way(ROOT, missing=True), "policy", WHO).mode == -1


def test_a_directory_for_others_to_put_files_into_needs_both_bits():
    assert model(ROOT, directory("/h/tools", mode=0o1773)) is Model.EXPOSED
    assert model(ROOT, directory("/h/tools", mode=0o772)) is Model.ROOT_OWNED


def test_a_gateway_that_is_the_operator_owns_as_the_gateway():
    who = Who(frozenset({OPERATOR}), OPERATOR, {}, TABLES)
    assert model(ROOT, directory("/h", uid=OPERATOR), file(uid=OPERATOR), who=who) is Model.BOT_OWNED
    assert who.called(OPERATOR) == "the gateway, as ann (uid 1000)"


def test_an_agent_never_counts_as_an_operator():
    who = Who(frozenset({OPERATOR, AGENT}), GATEWAY, {AGENT: "main"}, TABLES)
    assert model(ROOT, directory("/h"), file(uid=AGENT), who=who) is Model.EXPOSED


def test_everyone_who_could_is_named_with_the_way_there():
    found = writers_of(way(ROOT, directory("/h", uid=OPERATOR), file(mode=0o664, gid=50, uid=AGENT)), WHO)
    said = {WHO.called(writer.uid): writer.how for writer in found}
    assert said == {
        "agent main": "owns the file /h/p",
        "ann (uid 1000)": "may write the file /h/p: its mode is 664, and it is in the group crew",
        "bob (uid 1001)": "may write the file /h/p: its mode is 664, and it is in the group crew",
    }
    assert WHO.called(EVERYBODY) == "everybody"
    assert [str(model) for model in Model] == ["root-owned", "operator-owned", "bot-owned", "exposed"]


def test_the_least_safe_of_several_counts():
    safe, unsafe = (hold(way(ROOT, file(uid=uid)), "policy", WHO) for uid in (0, AGENT))
    assert (worst([safe, unsafe]), worst([safe]), worst([])) == (Model.EXPOSED, Model.ROOT_OWNED, Model.ROOT_OWNED)
