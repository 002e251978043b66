"""Every package that is installed is pinned, hashed, and asked for by name in a file that says so."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.house.reading import ROOT

from bascule.runtime.local_model import pins as local

LOCKS = ("runtime", "dev", "local")


def pins(name: str) -> dict[str, list[str]]:
    """Each ``name==version`` of a lock, with its hashes."""
    found: dict[str, list[str]] = {}
    pin = ""
    for line in (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines():
        if match := re.match(r"([\w.-]+==[^\s;]+)", line):
            pin = match[1]
            found[pin] = []
        elif match := re.match(r"    --hash=(sha256:[0-9a-f]{64})", line):
            found[pin].append(match[1])
    return found


def asked(name: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    if name == "runtime":
        lines = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    else:
        text = (ROOT / "requirements" / f"{name}.in").read_text("utf-8")
        lines = [line for line in text.splitlines() if line and not line.startswith(("#", "-"))]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash(name: str) -> None:
    found = pins(name)
    assert found
    assert [pin for pin, hashes in found.items() if not hashes] == []


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_answers_what_is_asked(name: str) -> None:
    versions = {canonicalize_name(pin.partition("==")[0]): pin.partition("==")[2] for pin in pins(name)}
    missed = [
        str(wish)
        for wish in asked(name)
        if canonicalize_name(wish.name) not in versions or versions[canonicalize_name(wish.name)] not in wish.specifier
    ]
    assert missed == []


def test_the_locks_agree_with_each_other() -> None:
    versions: dict[str, set[str]] = {}
    for name in LOCKS:
        for pin in pins(name):
            versions.setdefault(pin.partition("==")[0], set()).add(pin)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_extra_is_the_local_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert [Requirement(line) for line in project["optional-dependencies"]["local"]] == asked("local")


def test_the_local_model_is_the_locked_one() -> None:
    [(pin, hashes)] = pins("local").items()
    assert pin == f"{local.LIBRARY}=={local.LIBRARY_VERSION}"
    assert {f"sha256:{value}" for value in local.LIBRARY_SHA256} <= set(hashes)
