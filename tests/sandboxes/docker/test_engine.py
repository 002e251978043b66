"""An engine that is absent, old, silent, talkative or says nonsense is unavailable, with the reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sandboxes.docker.engines import VERSION, answer, pretended, version

from bascule.core.errors import Unavailable
from bascule.sandboxes.docker.engine import Engine, split_name

TOO_OLD = b'{"message":"client version 1.51 is too old. Minimum supported API version is 1.60, please upgrade"}'


def refusal(folder: Path, answers: list[bytes | None], seconds: float = 5.0) -> str:
    with pretended(folder, answers) as (path, _), pytest.raises(Unavailable) as refused:
        Engine(path, seconds).containers({"a": "b"})
    return refused.value.code


def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        Engine(str(tmp_path / "none")).version()
    assert refused.value.code == "docker_unreachable"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([None], "docker_silent"),
        ([version("1.40")], "docker_version"),
        ([version("1.99"), answer(TOO_OLD, 400)], "docker_version"),
        ([version("7")], "docker_version"),
        ([answer(b"no")], "docker_version"),
        ([answer(b"no", 500)], "docker_refused"),
        ([b"nonsense\r\n\r\n"], "docker_unreachable"),
        ([b""], "docker_unreachable"),
        ([VERSION, answer(b'{"message":"no\\nspace"}', 500)], "docker_refused"),
        ([VERSION, answer(b"<html>", 502)], "docker_refused"),
        ([VERSION, answer(b"[" * 100_000)], "docker_answer"),
        ([VERSION, answer(b" " * (5 << 20))], "docker_answer"),
        ([VERSION, None], "docker_silent"),
    ],
)
def test_what_an_engine_may_do_wrong(tmp_path: Path, answers: list[bytes | None], code: str) -> None:
    assert refusal(tmp_path, answers, 0.3 if None in answers else 5.0) == code


def test_its_own_language_within_ours(tmp_path: Path) -> None:
    with pretended(tmp_path, [VERSION, answer(b"[]"), answer(b"[]")]) as (path, asked):
        engine = Engine(path)
        assert engine.containers({"a": "b c"}) == []
        assert engine.containers({}) == []
    assert [line.split(b" ")[1].split(b"?")[0] for line in asked] == [
        b"/_ping",
        b"/v1.47/containers/json",
        b"/v1.47/containers/json",
    ]


def test_names_are_quoted(tmp_path: Path) -> None:
    with pretended(tmp_path, [VERSION, answer(b"{}", 404)]) as (path, asked):
        assert Engine(path).image("../x?y") is None
    assert asked[1].startswith(b"GET /v1.47/images/..%2Fx%3Fy/json ")


def test_a_container_that_is_gone_is_well_removed(tmp_path: Path) -> None:
    with pretended(tmp_path, [VERSION, answer(b'{"message":"no"}', 404)]) as (path, asked):
        Engine(path).remove("abc")
    assert asked[1].startswith(b"DELETE /v1.47/containers/abc?force=true")


def test_what_was_made_is_returned_with_its_warnings(tmp_path: Path) -> None:
    made = json.dumps({"Id": "f" * 64, "Warnings": ["no swap"]}).encode()
    with pretended(tmp_path, [VERSION, answer(made, 201)]) as (path, asked):
        assert Engine(path).create("n", {"Image": "x"}) == ("f" * 64, ("no swap",))
    assert asked[1].endswith(b'{"Image": "x"}')


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("box", ("box", "latest")),
        ("box:1", ("box", "1")),
        ("host:5000/a/box", ("host:5000/a/box", "latest")),
        ("host:5000/a/box:2", ("host:5000/a/box", "2")),
        ("host:5000/box@sha256:00", ("host:5000/box", "sha256:00")),
    ],
)
def test_a_name_is_split_where_its_tag_begins(name: str, split: tuple[str, str]) -> None:
    assert split_name(name) == split


def test_a_gateway_does_not_even_load_what_speaks_to_an_engine() -> None:
    code = (
        "import sys, {}; from bascule.sandboxes.docker import record;"
        "print([name for name in sys.modules if name.startswith('bascule.') and name.endswith(('engine', 'wire', 'build'))"
        " and '.docker.' in name])"
    )
    loaded = [
        subprocess.run([sys.executable, "-c", code.format(module)], capture_output=True, text=True, check=True).stdout
        for module in ("bascule.app.process", "bascule.sandboxes.warden.containers")
    ]
    assert loaded[0] == "[]\n"
    assert "bascule.sandboxes.docker.engine" in loaded[1], "the warden does"
