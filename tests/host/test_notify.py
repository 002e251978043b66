"""Saying that the gateway serves, to whoever the environment names."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from bascule.host.notify import VARIABLE, service_manager


def heard(address: str, shown: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(5)
        environment = {VARIABLE: shown, "OTHER": "x"}
        tell = service_manager(environment)
        assert environment == {"OTHER": "x"}
        tell("READY=1")
        return manager.recv(100)


def test_a_path_is_told(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    assert heard(address, address) == b"READY=1"


def test_an_abstract_name_is_told() -> None:
    name = secrets.token_hex(8)
    assert heard("\0" + name, "@" + name) == b"READY=1"


def test_without_a_service_manager_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {VARIABLE: "relative"}, {VARIABLE: str(tmp_path / "nobody")}):
        service_manager(environment)("READY=1")
        assert environment == {}
