from bascule.core.rights import POWERS, Account, Worth


def test_every_group_that_is_known_says_how():
    assert all(power.how for power in POWERS.values())
    assert {power.worth for power in POWERS.values()} == set(Worth)
    assert {"docker", "lxd", "disk", "sudo", "wheel", "libvirt"} <= {
        name for name, power in POWERS.items() if power.worth is Worth.ROOT
    }


def test_groups_are_told_apart_by_what_they_are_worth():
    account = Account(7, "bot", ("adm", "bot", "docker", "kvm", "shadow"))
    assert account.groups_worth(Worth.ROOT) == ("docker",)
    assert account.groups_worth(Worth.READS) == ("adm", "shadow")
    assert account.groups_worth(Worth.DEVICES) == ("kvm",)
    assert (account.called, Account(7).called) == ("bot (uid 7)", "uid 7")
