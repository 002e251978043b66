"""The warden's language: what is written reads back, everything else is refused whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.confinement import Limits, Mount
from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.core.plan import ProgramKind
from bascule.sandboxes.warden.messages import (
    LARGEST_MESSAGE,
    Kill,
    Request,
    RunProgram,
    StartWorker,
    Status,
    Stop,
    Territory,
    parse,
    write,
)

AGENT = AgentId("one")
RUN = RunProgram(
    7, AGENT, ("grep", "x"), "/usr/bin/grep", "0" * 64, ProgramKind.NATIVE, "", ("/usr/bin/cat",), True,
    (Mount("/srv/data"),), Limits(1, 2, 3, 4, 5, 6),
)  # fmt: skip

words = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=30)
names = st.text("abcxyz.-_ é", min_size=1, max_size=8).filter(lambda name: name not in {".", ".."})
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
limits = st.builds(Limits, *[st.integers(1, 1 << 40)] * 6)
agents = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True).map(AgentId)
mounts = st.lists(st.builds(Mount, paths, st.booleans()), max_size=3).map(tuple)
ids = st.integers(0, 2**53 - 1)
requests = st.one_of(
    st.builds(Kill, ids, st.integers(1, 1000)),
    st.builds(Status, ids, st.integers(1, 1000)),
    st.builds(Stop, ids, st.one_of(st.none(), agents)),
    st.builds(StartWorker, ids, agents, st.booleans(), mounts, limits),
    st.builds(
        RunProgram, ids, agents, st.lists(words, min_size=1, max_size=4).map(tuple), paths,
        st.from_regex(r"[0-9a-f]{64}", fullmatch=True), st.just(ProgramKind.SCRIPT), paths,
        st.lists(paths, max_size=3).map(tuple), st.booleans(), mounts, limits, st.booleans(),
    ),
)  # fmt: skip


@given(requests)
def test_what_is_written_reads_back(request: Request) -> None:
    assert parse(write(request)) == request


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(Malformed):
        parse(noise)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(json.loads(write(RUN)))), junk)
def test_any_other_value_is_refused_or_means_itself(name: str, value: object) -> None:
    body = json.loads(write(RUN)) | {name: value}
    try:
        text = json.dumps(body).encode()
        read = parse(text)
    except Malformed:
        return
    assert json.loads(write(read)) == body


@given(st.text(min_size=1, max_size=10), junk)
def test_foreign_field_is_refused(name: str, value: object) -> None:
    body = json.loads(write(RUN))
    if name not in body:
        with pytest.raises(Malformed):
            parse(json.dumps(body | {name: value}).encode())


@pytest.mark.parametrize("name", sorted(json.loads(write(RUN))))
def test_missing_field_is_refused(name: str) -> None:
    body = json.loads(write(RUN))
    del body[name]
    with pytest.raises(Malformed):
        parse(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("op", "mount"),
        ("agent", "One"),
        ("agent", "../two"),
        ("argv", []),
        ("argv", ["a\0b"]),
        ("argv", ["x" * 100_000]),
        ("program", "usr/bin/grep"),
        ("program", "/usr/../bin/grep"),
        ("program", "/"),
        ("sha256", "0" * 63),
        ("sha256", "0" * 64 + "\n"),
        ("kind", "multicall"),
        ("kind", "missing"),
        ("interpreter", "/bin/sh"),
        ("needs", "/bin/sh"),
        ("writable", 1),
        ("proxy", 1),
        ("proxy", "host"),
        ("id", -1),
        ("id", True),
        ("mounts", [{"path": "/srv", "writable": False, "target": "/"}]),
        ("limits", {"memory_bytes": 1}),
    ],
)
def test_bad_value_is_refused(name: str, value: object) -> None:
    assert parse(write(RUN)) == RUN
    with pytest.raises(Malformed):
        parse(json.dumps(json.loads(write(RUN)) | {name: value}).encode())


def test_doubled_field_and_long_message_are_refused() -> None:
    with pytest.raises(Malformed):
        parse(write(RUN).replace(b'"id": 7', b'"id": 7, "id": 8'))
    with pytest.raises(Malformed):
        parse(b" " * (LARGEST_MESSAGE + 1))


HERE = Territory("/home/op/.bascule", ("/opt/code",))


@pytest.mark.parametrize(
    "path",
    [
        "/home/op/.bascule",
        "/home/op/.bascule/state",
        "/home/op/.bascule/bascule.json5",
        "/home/op/.bascule/agents/two",
        "/home/op/.bascule/shared",
        "/home/op",
        "/home",
        "/proc/1",
        "/sys",
        "/dev/sda",
        "/run/docker.sock",
        "/etc/shadow",
        "/home/op2/.ssh/id",
        "/opt/code/x",
        "/opt",
        "/workspace/x",
    ],
)
def test_mount_of_what_is_nobodys_to_grant_is_refused(path: str) -> None:
    HERE.check_mount(Mount("/srv/data", True))
    HERE.check_mount(Mount("/etc", False))
    HERE.check_mount(Mount("/home/op/.bascule/shared/packets", True))
    with pytest.raises(Malformed):
        HERE.check_mount(Mount(path, False))


@pytest.mark.parametrize(
    "target",
    [
        "/workspace", "/workspace/memory", "/usr", "/usr/lib/x", "/etc", "/tmp/x", "/run/bascule", "/opt", "/proc/1",
        "/home/op/.bascule/agents/one", "/home/op", "/opt/code", "/canary", "/opt/bascule/x",
    ],
)  # fmt: skip
def test_nothing_is_put_where_a_box_has_something_of_its_own(target: str) -> None:
    HERE.check_mount(Mount("/srv/data", target="/workspaces/shared/data"))
    HERE.check_mount(Mount("/srv/data", target="/mnt/data"))
    with pytest.raises(Malformed):
        HERE.check_mount(Mount("/srv/data", target=target))


def test_what_holds_secrets_is_never_given_to_be_written() -> None:
    with pytest.raises(Malformed):
        HERE.check_mount(Mount("/etc", True))


@pytest.mark.parametrize(
    "path",
    ["/home/op/.bascule/agents/two/tools/x", "/home/op/.bascule/agents/one/workspace/x", "/proc/self/exe", "/home/op"],
)
def test_program_from_where_none_belongs_is_refused(path: str) -> None:
    HERE.check_program("/usr/bin/grep", AGENT)
    HERE.check_program("/home/op/.bascule/agents/one/tools/x.sh", AGENT)
    with pytest.raises(Malformed):
        HERE.check_program(path, AGENT)
