"""What policy lends a box, in both backends: seen under both names, written only as listed, and nothing beside it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.sandboxes import daemon
from tests.sandboxes.boxed import KEY, LIMITS, ONE, TWO, Boxed, Ground, grounded, within

from bascule.core.box import BoxKey, PipelineResult
from bascule.core.confinement import Mount
from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.core.ids import cli_session
from bascule.core.outfit import Outfit
from bascule.core.policy import AgentPolicy
from bascule.sandboxes.docker.backend import DockerBoxes

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("boxes of both modes can be tried by root only", allow_module_level=True)

PACKETS, CONTEXT = "/workspaces/shared/packets", "/workspaces/shared/context"


@pytest.fixture(scope="module", params=["root", "rootless", "docker"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    place = tmp_path_factory.mktemp(request.param)
    place.chmod(0o755)
    with grounded(place / "home", request.param) as made:
        for name in ("packets", "context"):
            note = made.home / "shared" / name / "note.md"
            note.write_text("needle\n")
            note.chmod(0o644)
        packets = made.home / "shared" / "packets"
        os.chown(packets, made.uids[ONE], made.uids[ONE])
        subprocess.run(["/usr/bin/setfacl", "-m", f"u:{made.uids[TWO]}:rwx", str(packets)], check=True)
        yield made


def lend(boxed: Boxed, *binds: Mount, access: str = "rw", agent: str = ONE) -> None:
    agents = boxed.boxes._on.agents
    assert isinstance(agents, dict)
    rules: AgentPolicy = agents[agent]
    agents[agent] = replace(
        rules, layout=replace(rules.layout, binds=binds), sandbox=replace(rules.sandbox, workspace_access=access)
    )


def packets(ground: Ground, *, writable: bool = False) -> Mount:
    return Mount(f"{ground.home}/shared/packets", writable, PACKETS)


@pytest.mark.parametrize("place", ["/workspaces/shared", "/data", "/mnt"])
def test_programs_find_a_bind_under_either_name(ground: Ground, place: str) -> None:
    bind = Mount(f"{ground.home}/shared/packets", target=f"{place}/packets")

    async def body(boxed: Boxed) -> list[bytes]:
        lend(boxed, bind)
        paths = (f"{bind.target}/note.md", f"{bind.path}/note.md")
        return [(await boxed.run("grep", "-c", "needle", path)).stdout for path in paths]

    assert within(ground, body) == [b"1\n", b"1\n"]


def test_without_a_bind_nothing_shared_is_there(ground: Ground) -> None:
    assert (ground.home / "shared" / "packets" / "note.md").read_text() == "needle\n"

    async def body(boxed: Boxed) -> tuple[bytes, str]:
        lend(boxed, Mount(f"{ground.home}/shared/context", target=CONTEXT))
        found = await boxed.run("cat", f"{PACKETS}/note.md", f"{ground.home}/shared/packets/note.md")
        files = await boxed.boxes.files(KEY)
        with pytest.raises(Malformed) as refused:
            await files.read(f"{PACKETS}/note.md", offset=0, limit=9)
        return found.stdout, refused.value.code

    assert within(ground, body) == (b"", "path_outside")


def test_the_warm_worker_reads_writes_edits_and_globs_there(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[bytes, tuple[str, ...], bytes]:
        lend(boxed, packets(ground, writable=True))
        files = await boxed.boxes.files(KEY)
        assert await boxed.boxes.files(KEY) is files
        first = await files.read(f"{PACKETS}/note.md", offset=0, limit=99)
        digest = await files.write(f"{PACKETS}/deep/new.md", b"one two", append=False)
        await files.edit(f"{PACKETS}/deep/new.md", "two", "three", every=False, expected_sha256=digest)
        second = await files.read(f"{PACKETS}/deep/new.md", offset=0, limit=99)
        return first.content, await files.glob(f"{PACKETS}/*.md", limit=9), second.content

    assert within(ground, body) == (b"needle\n", (f"{PACKETS}/note.md",), b"one three")
    assert (ground.home / "shared" / "packets" / "deep" / "new.md").read_text() == "one three"


def test_what_one_agent_leaves_there_another_finds(ground: Ground) -> None:
    async def body(boxed: Boxed) -> bytes:
        lend(boxed, packets(ground, writable=True))
        lend(boxed, packets(ground), agent=TWO)
        mine = await boxed.boxes.files(KEY)
        await mine.write(f"{PACKETS}/for-two.md", b"hello", append=False)
        os.chmod(ground.home / "shared" / "packets" / "for-two.md", 0o644)
        theirs = await boxed.boxes.files(BoxKey(TWO, cli_session(TWO)))
        with pytest.raises(Unavailable) as refused:
            await theirs.write(f"{PACKETS}/for-two.md", b"no", append=False)
        assert refused.value.code == "read_only"
        return (await theirs.read(f"{PACKETS}/for-two.md", offset=0, limit=9)).content

    assert within(ground, body) == b"hello"


def test_errors_name_the_operators_path(ground: Ground) -> None:
    async def body(boxed: Boxed) -> list[str]:
        lend(boxed, packets(ground))
        files = await boxed.boxes.files(KEY)
        said = []
        for path in (f"{PACKETS}/missing.md", "/workspace/workspace/missing.md"):
            with pytest.raises(Unavailable) as refused:
                await files.read(path, offset=0, limit=9)
            said.append(refused.value.message)
        return said

    shared, own = within(ground, body)
    assert f"{ground.home}/shared/packets/missing.md" in shared
    assert f"{ground.root()}/workspace/missing.md" in own


@pytest.mark.parametrize(
    ("listed", "writes", "written"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_programs_write_only_what_is_listed_and_if_their_entry_writes(
    ground: Ground, listed: bool, writes: bool, written: bool
) -> None:
    target = ground.home / "shared" / "packets" / f"touched-{listed}-{writes}"

    async def body(boxed: Boxed) -> list[tuple[int, ...]]:
        lend(boxed, packets(ground, writable=listed))
        names = (f"{PACKETS}/{target.name}", f"{target}-host")
        return [(await boxed.run("cp", f"{PACKETS}/note.md", name, writable=writes)).exits for name in names]

    exits = within(ground, body)
    # In a container /tmp is a scratch place, so a home below it is not written by that name.
    by_host = written and not (ground.mode == "docker" and str(ground.home).startswith("/tmp/"))
    assert [done == (0,) for done in exits] == [written, by_host]
    assert [target.exists(), Path(f"{target}-host").exists()] == [written, by_host]


def test_the_operators_name_is_no_way_around_writes(ground: Ground) -> None:
    target = ground.root() / "workspace" / "unasked"

    async def body(boxed: Boxed) -> tuple[tuple[int, ...], bytes]:
        done = await boxed.run("touch", str(target))
        return done.exits, (await boxed.run("ls", "-d", str(target.parent))).stdout

    exits, seen = within(ground, body)
    assert seen == f"{target.parent}\n".encode()
    assert exits != (0,)
    assert not target.exists()


def test_nothing_there_can_be_run(ground: Ground) -> None:
    script = ground.home / "shared" / "packets" / "script"
    script.write_bytes(Path("/usr/bin/id").read_bytes())
    script.chmod(0o4755)
    assert b"uid=" in subprocess.run([str(script)], capture_output=True, check=True).stdout
    loader = "/lib64/ld-linux-x86-64.so.2"

    async def body(boxed: Boxed) -> bytes:
        lend(boxed, packets(ground))
        said = b""
        for words in ((f"{PACKETS}/script",), (str(script),), (loader, f"{PACKETS}/script")):
            said += (await boxed.run("find", PACKETS, "-maxdepth", "0", "-exec", *words, ";")).stdout
        return said

    assert b"uid=" not in within(ground, body)


@pytest.mark.parametrize("kind", ["link", "above", "socket", "missing"])
def test_a_source_is_opened_without_links_and_must_be_there(ground: Ground, kind: str) -> None:
    place = ground.home / "shared" / f"odd-{kind}"
    place.mkdir(mode=0o755)
    real = place / "real"
    real.mkdir(mode=0o755)
    (real / "secret").write_text("SECRET")
    source = {"link": place / "to", "above": place / "up" / "real", "socket": place / "s", "missing": place / "no"}[
        kind
    ]
    (place / "to").symlink_to(real)
    (place / "up").symlink_to(place)
    subprocess.run(["/usr/bin/mkfifo", str(place / "s")], check=True)

    async def good(boxed: Boxed) -> bytes:
        lend(boxed, Mount(str(real), target="/data"))
        return (await boxed.run("ls", "/data")).stdout

    async def body(boxed: Boxed) -> str:
        lend(boxed, Mount(str(source), target="/data"))
        with pytest.raises(Unavailable) as refused:
            await boxed.boxes.files(KEY)
        with pytest.raises(Unavailable):
            await boxed.run("ls", "/data")
        return refused.value.message

    assert within(ground, good) == b"secret\n"
    assert str(source) in within(ground, body)


@pytest.mark.parametrize(
    "mount",
    [
        Mount("/srv", target="/workspace/x"),
        Mount("/srv", target="/usr/lib"),
        Mount("/srv", target="/tmp/x"),
        Mount("/srv", target="/run/bascule"),
        Mount("{home}/state", target="/data"),
        Mount("{home}/agents/two", target="/data"),
        Mount("/proc", target="/data"),
        Mount("/run/docker.sock", target="/data"),
        Mount("/srv", target="{home}/agents/one/workspace"),
    ],
    ids=lambda mount: f"{mount.path}:{mount.target}",
)
def test_the_warden_itself_refuses_what_policy_would_not_list(ground: Ground, mount: Mount) -> None:
    asked = Mount(mount.path.format(home=ground.home), False, mount.target.format(home=ground.home))

    async def body(boxed: Boxed) -> str:
        lend(boxed, asked)
        with pytest.raises(BasculeError) as refused:
            await boxed.boxes.files(KEY)
        return refused.value.code

    assert within(ground, body) == "mount_refused"


def test_a_granted_path_comes_besides(ground: Ground) -> None:
    far = Path("/usr/lib/os-release")
    content = far.read_bytes()

    async def body(boxed: Boxed) -> tuple[bytes, bytes, bytes]:
        lend(boxed, packets(ground))
        found = await boxed.run("cat", str(far), f"{PACKETS}/note.md", mounts=(Mount(str(far)),))
        later = await boxed.run("cat", str(far), f"{PACKETS}/note.md")
        once = await boxed.boxes.files(KEY, (Mount(str(far)),))
        return found.stdout, later.stdout, (await once.read(str(far), offset=0, limit=1 << 16)).content

    found, later, read = within(ground, body)
    assert (found, read) == (content + b"needle\n", content)
    assert later.endswith(b"needle\n")
    assert content not in later


LOOK = ("find", "/workspace", "-mindepth", "1", "-not", "-name", ".not-mounted")


def test_a_withheld_directory_is_in_no_box(ground: Ground) -> None:
    (ground.root() / "workspace" / "mine.md").write_text("x")
    tool = ground.root() / "tools" / "say.sh"
    tool.write_text("#!/bin/sh\necho said\n")
    tool.chmod(0o755)

    async def before(boxed: Boxed) -> tuple[bytes, bytes]:
        said = await boxed.run(str(tool), needs=("/bin/sh",))
        return (await boxed.run(*LOOK)).stdout, said.stdout

    async def body(boxed: Boxed) -> tuple[bytes, bytes, list[str]]:
        lend(boxed, packets(ground), access="none")
        seen = await boxed.run(*LOOK)
        host = await boxed.run("ls", "-A", str(ground.root()))
        files = await boxed.boxes.files(KEY)
        codes = []
        for path in ("/workspace/workspace/mine.md", "/workspace/tools/say.sh", "/workspace/notes.md"):
            with pytest.raises(Unavailable) as refused:
                await files.read(path, offset=0, limit=9)
            codes.append(refused.value.code)
        assert (await files.read(f"{PACKETS}/note.md", offset=0, limit=9)).content == b"needle\n"
        with pytest.raises(BasculeError):
            await boxed.run(str(tool), needs=("/bin/sh",))
        return seen.stdout, host.stdout, codes

    here, said = within(ground, before)
    assert b"mine.md" in here
    assert said == b"said\n"
    assert within(ground, body) == (b"", b"", ["file_missing"] * 3)


def test_a_read_only_directory_is_not_written_by_any_box(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[str, tuple[int, ...]]:
        lend(boxed, packets(ground, writable=True), access="ro")
        files = await boxed.boxes.files(KEY)
        with pytest.raises(Unavailable) as refused:
            await files.write("/workspace/workspace/x", b"x", append=False)
        await files.write(f"{PACKETS}/beside.md", b"x", append=False)
        return refused.value.code, (await boxed.run("touch", "workspace/y", writable=True)).exits

    code, exits = within(ground, body)
    assert (code, exits == (0,)) == ("read_only", False)
    assert not (ground.root() / "workspace" / "y").exists()


def test_changed_binds_replace_the_container_before_its_next_call(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[list[str], list[str], bytes]:
        if not isinstance(boxed.boxes, DockerBoxes):
            return [], [], (await boxed.run("cat", "/workspace/nothing")).stdout
        lend(boxed, packets(ground))
        await boxed.run("true")
        before = daemon.containers(ground.home)
        lend(boxed, packets(ground), Mount(f"{ground.home}/shared/context", target=CONTEXT))
        found = await boxed.run("cat", f"{CONTEXT}/note.md")
        return before, daemon.containers(ground.home), found.stdout

    before, after, found = within(ground, body)
    if ground.mode == "docker":
        assert (len(before), len(after), set(before) & set(after), found) == (1, 1, set(), b"needle\n")


def dress(boxed: Boxed, outfit: Outfit) -> None:
    agents = boxed.boxes._on.agents
    assert isinstance(agents, dict)
    rules: AgentPolicy = agents[ONE]
    agents[ONE] = replace(rules, sandbox=replace(rules.sandbox, outfit=outfit))


def test_variables_of_policy_reach_programs_and_no_others_do(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[set[str], set[str]]:
        before = await boxed.run("env")
        dress(boxed, Outfit((("TZ", "UTC"), ("GREETING", "hello world"))))
        after = await boxed.run("env")
        return set(before.stdout.decode().splitlines()), set(after.stdout.decode().splitlines())

    before, after = within(ground, body)
    assert after - before == {"TZ=UTC", "GREETING=hello world"}
    assert before <= after


def test_a_scratch_place_is_as_large_as_policy_says_and_empty_for_every_call(ground: Ground) -> None:
    async def body(boxed: Boxed) -> list[tuple[int, ...]]:
        dress(boxed, Outfit(scratches=(("/scratch", 1 << 16), ("/tmp", 1 << 16))))
        done = []
        for place in ("/scratch", "/tmp"):
            done.append((await boxed.run("cp", "/workspace/notes.md", f"{place}/small")).exits)
            done.append((await boxed.run("ls", f"{place}/small")).exits)
            done.append((await boxed.run("cp", "/workspace/large", f"{place}/large")).exits)
        return done

    for name, size in (("notes.md", 10), ("large", 1 << 17)):
        (ground.root() / name).write_bytes(b"x" * size)
        (ground.root() / name).chmod(0o644)
    assert [exits == (0,) for exits in within(ground, body)] == [True, False, False] * 2


def test_open_files_are_as_few_as_policy_says(ground: Ground) -> None:
    code = "import os\ntry:\n    while True: last = os.dup(1)\nexcept OSError: os.write(1, str(last).encode())"

    async def body(boxed: Boxed) -> list[int]:
        few = replace(LIMITS, open_files=40)
        runs = [await python(boxed, code), await python(boxed, code, limits=few)]
        return [int(run.stdout) for run in runs]

    assert within(ground, body) == [1023, 39]


def python(boxed: Boxed, code: str, **options: Any) -> Awaitable[PipelineResult]:
    program = "/usr/bin/python3" if boxed.ground.mode == "docker" else os.path.realpath("/usr/bin/python3")
    library = f"/usr/lib/{Path(os.path.realpath('/usr/bin/python3')).name}"
    return boxed.run(program, "-I", "-S", "-c", code, needs=(library,), **options)


def test_a_changed_outfit_replaces_the_container(ground: Ground) -> None:
    async def body(boxed: Boxed) -> list[list[str]]:
        seen = []
        for outfit in (Outfit(), Outfit((("TZ", "UTC"),)), Outfit(scratches=(("/scratch", 1 << 16),))):
            dress(boxed, outfit)
            await boxed.run("true")
            seen.append(daemon.containers(ground.home) if ground.mode == "docker" else [str(len(seen))])
        return seen

    seen = within(ground, body)
    assert [len(found) for found in seen] == [1, 1, 1]
    assert len({found[0] for found in seen}) == 3
