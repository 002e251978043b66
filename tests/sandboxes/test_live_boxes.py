"""Boxes of both modes, looked at from inside; every attack first succeeds without the wall."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandboxes.boxed import KEY, LIMITS, ONE, TWO, Boxed, Ground, grounded, program, within

from bascule.core.box import PipelineRequest, ProgramRun
from bascule.core.confinement import Mount
from bascule.core.errors import BasculeError, Unavailable

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("boxes of both modes can be tried by root only", allow_module_level=True)

PYTHON = os.path.realpath("/usr/bin/python3")
PYTHON_LIBRARY = f"/usr/lib/{Path(PYTHON).name}"


@pytest.fixture(scope="module", params=["root", "rootless", "docker"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp(request.param) / "home", request.param) as made:
        note = made.root() / "notes.md"
        note.write_text("needle\n")
        note.chmod(0o644)
        yield made


def plain(*argv: str) -> subprocess.CompletedProcess[bytes]:
    """The same program without a box: the positive control."""
    return subprocess.run(argv, capture_output=True, check=False, timeout=20, stdin=subprocess.DEVNULL)


def test_program_reads_its_workspace(ground: Ground) -> None:
    found = within(ground, lambda boxed: boxed.run("grep", "-c", "needle", "notes.md"))
    assert (found.exits, found.stdout, found.stderr) == ((0,), b"1\n", b"")


def test_nothing_of_the_hosts_is_shared(ground: Ground) -> None:
    """Each kind of namespace by the kernel's own name for it; without a box a program is in this process's."""
    kinds = ("net", "ipc", "uts", "pid", "mnt")
    places = [f"/proc/self/ns/{kind}" for kind in kinds]
    assert plain("readlink", *places).stdout.decode().split() == [os.readlink(place) for place in places]
    seen = within(ground, lambda boxed: boxed.run("readlink", *places)).stdout.decode().split()
    assert len(seen) == len(kinds)
    assert not {os.readlink(place) for place in places} & set(seen)


def test_every_box_has_the_same_name(ground: Ground) -> None:
    assert plain("uname", "-n").stdout.decode().strip() == os.uname().nodename != "box"
    assert within(ground, lambda boxed: boxed.run("uname", "-n")).stdout == b"box\n"


def test_operand_in_the_operators_spelling_is_the_same_file(ground: Ground) -> None:
    found = within(ground, lambda boxed: boxed.run("grep", "-c", "needle", str(ground.root() / "notes.md")))
    assert found.stdout == b"1\n"


def test_pipeline_joins_its_boxes(ground: Ground) -> None:
    commands = [("cat",), ("sort", "-r"), ("head", "-n1")]
    found = within(ground, lambda boxed: boxed.pipe(commands, stdin=b"a\nc\nb\n"))
    assert (found.exits, found.stdout) == ((0, 0, 0), b"c\n")


def test_writer_into_a_closed_pipe_is_ended_by_its_signal(ground: Ground) -> None:
    found = within(ground, lambda boxed: boxed.pipe([("yes",), ("head", "-n1")]))
    assert (found.exits, found.stdout) == ((128 + 13, 0), b"y\n")


@pytest.fixture
def secret(ground: Ground) -> Path:
    path = ground.home / "state" / "secret"
    if not path.exists():
        path.write_text("SECRET")
        path.chmod(0o600)
        os.chown(path, ground.gateway, ground.gateway)
    return path


def unreachable(ground: Ground, secret: Path) -> list[str]:
    beside = ground.root(TWO) / "workspace" / "other.md"
    beside.write_text("SECRET")
    loose = Path("/tmp") / f"bascule-canary-{os.getpid()}"
    loose.write_text("SECRET")
    return [str(secret), str(beside), str(loose), "/etc/shadow", f"/proc/{os.getpid()}/environ", "/etc/hostname"]


def test_no_canary_is_readable(ground: Ground, secret: Path) -> None:
    paths = unreachable(ground, secret)
    for path in paths:
        assert plain("/usr/bin/cat", path).stdout, f"the control cannot read {path}"
    found = within(ground, lambda boxed: boxed.run("cat", *paths))
    assert found.stdout == b""
    # A container's image has an /etc of its own; what is in it may not be opened either.
    assert found.stderr.count(b"No such file") + found.stderr.count(b"Permission denied") == len(paths)


def test_box_holds_only_what_it_needs(ground: Ground) -> None:
    found = within(ground, lambda boxed: boxed.run("find", "/usr", "/bin/", "-type", "f", "-perm", "-111"))
    names = {Path(line).name for line in found.stdout.decode().split()}
    assert ("find" in names) is (ground.mode != "docker")  # in a container no directory of the image can be listed
    assert not names & {"sh", "dash", "bash", "id", "cat", "bwrap", "python3"}


def test_no_other_program_runs(ground: Ground) -> None:
    attack = ("/usr/bin/find", str(ground.root()), "-maxdepth", "0", "-exec", "/usr/bin/id", ";")
    assert b"uid=" in plain(*attack).stdout
    direct = within(ground, lambda boxed: boxed.run("find", ".", "-maxdepth", "0", "-exec", "/usr/bin/id", ";"))
    assert b"uid=" not in direct.stdout
    loader = "/lib64/ld-linux-x86-64.so.2"
    words = ("find", ".", "-maxdepth", "0", "-exec", loader, "/usr/bin/id", ";")
    assert b"uid=" not in within(ground, lambda boxed: boxed.run(*words)).stdout


def test_no_other_programs_bytes_are_readable(ground: Ground) -> None:
    others = ("/usr/bin/id", "/bin/sh", "/usr/bin/python3", "/usr/bin/passwd")
    assert len(plain("/usr/bin/head", "-qc4", *others).stdout) == 16
    found = within(ground, lambda boxed: boxed.run("head", "-qc4", *others, "/usr/bin/head"))
    assert found.stdout == b"\x7fELF"


CHANGES = [
    ("chmod", "4777", "{}"),
    (PYTHON, "-ISc", "import os, sys; os.setxattr(sys.argv[1], 'user.x', b'1')", "{}"),
    ("touch", "-d", "2001-01-01", "{}"),
    ("ln", "{}", "{}.hard"),
    ("ln", "-s", "/etc/shadow", "{}.soft"),
    ("mkfifo", "{}.fifo"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda words: Path(words[0]).name + words[1])
def test_files_keep_mode_attributes_times_and_links(ground: Ground, change: tuple[str, ...]) -> None:
    name = Path(change[0]).name + change[1].strip("-{}")
    place = ground.root() / "workspace"
    control = place / f"control-{name}"
    control.write_text("x")
    assert plain(*(word.replace("{}", str(control)) for word in change)).returncode == 0
    target = place / f"target-{name}"
    target.write_text("x")
    os.chown(target, ground.uids[ONE], ground.uids[ONE])
    before = (target.stat().st_mode, target.stat().st_mtime_ns, len(list(place.iterdir())))
    words = tuple(word.replace("{}", f"/workspace/workspace/{target.name}") for word in change)
    found = within(ground, lambda boxed: boxed.run(*words, writable=True, needs=(PYTHON_LIBRARY,)))
    assert found.exits != (0,)
    assert (target.stat().st_mode, target.stat().st_mtime_ns, len(list(place.iterdir()))) == before
    assert not os.listxattr(target) or "user.x" not in os.listxattr(target)


@pytest.mark.parametrize(
    ("path", "writable", "written"),
    [
        ("workspace/new", False, False),
        ("workspace/new", True, True),
        ("output/new", True, True),
        ("tools/new", True, False),
        ("new", True, False),
        ("/usr/bin/new", True, False),
    ],
)
def test_only_own_directories_are_writable_and_only_when_asked(
    ground: Ground, path: str, writable: bool, written: bool
) -> None:
    found = within(ground, lambda boxed: boxed.run("tee", path, stdin=b"hi", writable=writable))
    place = ground.root() / path
    assert (found.exits == (0,), place.is_file() and place.read_bytes() == b"hi") == (written, written)
    if written:
        assert place.stat().st_uid == ground.uids[ONE]
        place.unlink()


def test_what_the_agent_wrote_does_not_run(ground: Ground) -> None:
    planted = ground.root() / "workspace" / "planted"
    shutil.copy("/usr/bin/id", planted)
    planted.chmod(0o755)
    os.chown(planted, ground.uids[ONE], ground.uids[ONE])
    assert b"uid=" in plain(str(planted)).stdout
    words = ("find", "workspace/planted", "-exec", "{}", ";")
    found = within(ground, lambda boxed: boxed.run(*words, writable=True, needs=("/usr/bin/id",)))
    assert b"uid=" not in found.stdout
    assert b"Permission denied" in found.stderr
    planted.unlink()


def test_network_is_out_of_reach(ground: Ground, tmp_path: Path) -> None:
    inside = ground.root() / "workspace" / "listener"
    abstract = f"\0bascule-{os.getpid()}-{ground.mode}"
    code = (
        "import socket,sys\n"
        "for family, place in ((socket.AF_INET, ('127.0.0.1', int(sys.argv[1]))), (socket.AF_UNIX, sys.argv[2]),"
        " (socket.AF_UNIX, chr(0) + sys.argv[3])):\n"
        "    try:\n"
        "        s = socket.socket(family); s.connect(place); print('REACHED', flush=True)\n"
        "    except OSError as e: print(e.errno, flush=True)\n"
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as hidden,
    ):
        named.bind(str(inside))
        inside.chmod(0o777)
        hidden.bind(abstract)
        named.listen()
        hidden.listen()
        port = str(tcp.getsockname()[1])
        control = plain(PYTHON, "-I", "-S", "-c", code, port, str(inside), abstract[1:])
        assert control.stdout == b"REACHED\n" * 3
        words = (PYTHON, "-I", "-S", "-c", code, port, "/workspace/workspace/listener", abstract[1:])
        found = within(ground, lambda boxed: boxed.run(*words, needs=(PYTHON_LIBRARY,)))
    inside.unlink()
    assert found.exits == (0,)
    assert found.stdout == b"97\n" * 3


def test_box_has_no_rights_and_its_own_uid(ground: Ground) -> None:
    found = within(ground, lambda boxed: boxed.run("cat", "/proc/self/status"))
    fields = dict(line.split(":", 1) for line in found.stdout.decode().splitlines() if ":" in line)
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (fields["Seccomp"].strip(), fields["NoNewPrivs"].strip(), "0" in fields["Groups"].split()) == (
        "2",
        "1",
        False,
    )
    assert set(fields["Groups"].split()) <= set(fields["Gid"].split())
    assert "0" not in fields["Uid"].split()


def test_no_process_of_the_host_is_seen(ground: Ground) -> None:
    assert len(plain("/usr/bin/find", "/proc", "-maxdepth", "1", "-name", "[0-9]*").stdout.split()) > 3
    found = within(ground, lambda boxed: boxed.run("find", "/proc", "-maxdepth", "1", "-name", "[0-9]*"))
    seen = [int(Path(line).name) for line in found.stdout.decode().split()]
    assert 1 in seen
    assert len(seen) == 2  # the first process of its namespace, and itself; no worker was started


def tool(ground: Ground, name: str, text: str) -> Path:
    path = ground.root() / "tools" / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_script_runs_with_what_it_needs_and_only_so(ground: Ground) -> None:
    path = str(tool(ground, "hello.sh", "#!/bin/sh\nid -u; echo hello $1\n"))
    found = within(ground, lambda boxed: boxed.run(path, "you", needs=("/bin/sh",)))
    assert (found.exits, found.stdout) == ((0,), b"hello you\n")
    assert b"id: not found" in found.stderr or b"id: Permission denied" in found.stderr
    with pytest.raises(Unavailable) as refused:
        within(ground, lambda boxed: boxed.run(path, needs=("/usr/bin/id",)))
    assert refused.value.code == "interpreter_not_needed"


def test_changed_program_is_refused(ground: Ground) -> None:
    path = tool(ground, "changing.sh", "#!/bin/sh\necho one\n")

    async def body(boxed: Boxed) -> str:
        judged = program(str(path))
        path.write_text("#!/bin/sh\necho two\n")
        run = ProgramRun((str(path),), judged, ("/bin/sh",))
        with pytest.raises(BasculeError) as refused:
            await boxed.boxes.run(PipelineRequest(KEY, (run,), b"", LIMITS))
        return refused.value.code

    assert within(ground, body) == "program_changed"


@pytest.mark.parametrize("loosen", ["owner", "mode"])
def test_tools_an_agent_could_change_are_not_mounted(ground: Ground, loosen: str) -> None:
    path = tool(ground, f"loose-{loosen}.sh", "#!/bin/sh\necho loose\n")
    control = within(ground, lambda boxed: boxed.run("cat", f"tools/{path.name}"))
    assert b"loose" in control.stdout
    if loosen == "owner":
        os.chown(path, ground.uids[ONE], ground.uids[ONE])
    else:
        path.chmod(0o777)
    try:
        found = within(ground, lambda boxed: boxed.run("cat", f"tools/{path.name}"))
        assert found.stdout == b""
        with pytest.raises(Unavailable) as refused:
            within(ground, lambda boxed: boxed.run(str(path), needs=("/bin/sh",)))
        assert refused.value.code == "tools_unsafe"
    finally:
        path.unlink()


def test_granted_path_is_seen_only_where_granted(ground: Ground) -> None:
    outside = "/usr/lib/os-release"
    asked = within(ground, lambda boxed: boxed.run("cat", outside, mounts=(Mount(outside),)))
    assert asked.stdout == Path(outside).read_bytes()
    assert within(ground, lambda boxed: boxed.run("cat", outside)).stdout == b""


@pytest.mark.parametrize("source", ["home", "policy", "other", "proc", "link", "root"])
def test_forbidden_sources_are_refused(ground: Ground, tmp_path: Path, source: str) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc/hostname")
    path = {
        "home": str(ground.home),
        "policy": f"{ground.home}/bascule.json5",
        "other": str(ground.root(TWO)),
        "proc": "/proc/self",
        "link": str(link),
        "root": "/",
    }[source]
    with pytest.raises(Unavailable):
        within(ground, lambda boxed: boxed.run("cat", "notes.md", mounts=(Mount(path),)))
