"""Which name servers a container on the bridge asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.sandboxes.warden.name_service import files, is_server, public_servers, servers


@pytest.mark.parametrize("address", ["9.9.9.9", "8.8.4.4"])
def test_a_public_address_is_a_server(address: str) -> None:
    assert is_server(address)


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.53", "192.168.1.1", "169.254.169.253", "9.9.9.09", "9.9.9", "2620:fe::fe", "dns.quad9.net", None, 9, "9.9.9.9\n"],
)  # fmt: skip
def test_nothing_else_is(address: object) -> None:
    assert not is_server(address)


def test_of_the_machines_only_the_public_ones_count() -> None:
    text = "# nameserver 1.1.1.1\nnameserver 192.168.1.1\nnameserver\n nameserver 9.9.9.9\nsearch lan\nnameserver ::1\n"
    assert public_servers(text) == ("9.9.9.9",)
    assert public_servers("nameserver 8.8.8.8\n" * 2 + "".join(f"nameserver 8.8.8.{n}\n" for n in range(9))) == (
        "8.8.8.8",
        "8.8.8.0",
        "8.8.8.1",
    )


def test_policy_goes_before_the_machine_and_the_second_table_is_for_a_stub(tmp_path: Path) -> None:
    stub, behind = tmp_path / "stub", tmp_path / "behind"
    stub.write_text("nameserver 127.0.0.53\n")
    behind.write_text("nameserver 9.9.9.9\n")
    assert servers(("8.8.8.8",), (stub, behind)) == ("8.8.8.8",)
    assert servers((), (stub, behind)) == ("9.9.9.9",)
    assert servers((), (tmp_path / "none", stub)) == ()


def test_the_files_name_them_and_no_search_list() -> None:
    made = files(("9.9.9.9", "8.8.8.8"))
    assert made["/etc/resolv.conf"].startswith("nameserver 9.9.9.9\nnameserver 8.8.8.8\noptions ")
    assert "search" not in made["/etc/resolv.conf"]
    assert "hosts: files dns" in made["/etc/nsswitch.conf"]
    assert "nameserver" not in files(())["/etc/resolv.conf"]
