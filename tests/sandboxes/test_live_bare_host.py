"""The bare host: the parts of the boxes' contract that it signs, the parts that it does not, and what stays covered."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandboxes.boxed import KEY, LIMITS, ONE, TWO, Boxed, Ground, grounded, policies, within
from tests.sandboxes.test_live_boxes import (
    PYTHON,
    plain,
    secret,
    test_box_has_no_rights_and_its_own_uid,
    test_changed_program_is_refused,
    test_files_keep_mode_attributes_times_and_links,
    test_forbidden_sources_are_refused,
    test_network_is_out_of_reach,
    test_no_process_of_the_host_is_seen,
    test_only_own_directories_are_writable_and_only_when_asked,
    test_operand_in_the_operators_spelling_is_the_same_file,
    test_pipeline_joins_its_boxes,
    test_program_reads_its_workspace,
    test_tools_an_agent_could_change_are_not_mounted,
    test_what_the_agent_wrote_does_not_run,
    test_writer_into_a_closed_pipe_is_ended_by_its_signal,
)
from tests.sandboxes.test_live_limits import (
    test_a_sessions_first_question_makes_the_box_that_its_first_call_uses,
    test_boxes_end_with_gateway_and_with_warden,
    test_cpu_hog_is_bounded,
    test_dead_worker_is_replaced,
    test_endless_output_is_cut_and_ended,
    test_endless_sleep_ends_with_the_wall,
    test_fork_bomb_is_bounded,
    test_large_file_is_bounded,
    test_memory_hog_is_bounded,
    test_nothing_is_left_of_a_call,
    test_stop_ends_one_agents_boxes_and_no_others,
    test_worker_reads_writes_and_shows_its_posture,
)
from tests.sandboxes.test_live_ways import (
    test_a_box_changes_nothing_of_its_network,
    test_a_killed_box_takes_its_tunnel_along_and_connects_no_more,
    test_a_program_speaks_to_its_agents_proxy_and_is_told_where_it_is,
    test_nobody_in_the_box_listens_nor_holds_the_listener,
    test_nothing_of_the_host_is_reached,
    test_two_agents_reach_their_own_proxy_each,
    test_without_a_proxy_in_policy_there_is_no_such_socket,
)

from bascule.core.confinement import Mount
from bascule.core.errors import Unavailable
from bascule.core.policy import Backend
from bascule.sandboxes.bubblewrap.backend import BubblewrapBoxes
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.unsafe_none.backend import UnsafeNoneBoxes

__all__ = [
    "secret",
    "test_a_box_changes_nothing_of_its_network",
    "test_a_killed_box_takes_its_tunnel_along_and_connects_no_more",
    "test_a_program_speaks_to_its_agents_proxy_and_is_told_where_it_is",
    "test_a_sessions_first_question_makes_the_box_that_its_first_call_uses",
    "test_box_has_no_rights_and_its_own_uid",
    "test_changed_program_is_refused",
    "test_cpu_hog_is_bounded",
    "test_dead_worker_is_replaced",
    "test_endless_output_is_cut_and_ended",
    "test_endless_sleep_ends_with_the_wall",
    "test_files_keep_mode_attributes_times_and_links",
    "test_forbidden_sources_are_refused",
    "test_fork_bomb_is_bounded",
    "test_large_file_is_bounded",
    "test_memory_hog_is_bounded",
    "test_network_is_out_of_reach",
    "test_no_process_of_the_host_is_seen",
    "test_nobody_in_the_box_listens_nor_holds_the_listener",
    "test_nothing_is_left_of_a_call",
    "test_nothing_of_the_host_is_reached",
    "test_only_own_directories_are_writable_and_only_when_asked",
    "test_operand_in_the_operators_spelling_is_the_same_file",
    "test_pipeline_joins_its_boxes",
    "test_program_reads_its_workspace",
    "test_stop_ends_one_agents_boxes_and_no_others",
    "test_tools_an_agent_could_change_are_not_mounted",
    "test_two_agents_reach_their_own_proxy_each",
    "test_what_the_agent_wrote_does_not_run",
    "test_without_a_proxy_in_policy_there_is_no_such_socket",
    "test_worker_reads_writes_and_shows_its_posture",
    "test_writer_into_a_closed_pipe_is_ended_by_its_signal",
]
"""What the bare host signs of the contract of boxes: run here against it, as there against every box."""

pytestmark = pytest.mark.live

MODES = ("host", "host-rootless")


@pytest.fixture(scope="module")
def outside() -> Iterator[Path]:
    """A directory of this machine that is no box's own place, as ``/tmp`` is, and that everybody may read and write."""
    with tempfile.TemporaryDirectory(prefix="bascule-", dir="/srv") as made:
        place = Path(made)
        place.chmod(0o755)
        (place / "loose").mkdir()
        (place / "loose").chmod(0o777)
        (place / "loose" / "canary").write_text("SEEN")
        yield place


@pytest.fixture(scope="module", params=MODES)
def ground(request: pytest.FixtureRequest, outside: Path) -> Iterator[Ground]:
    with grounded(outside / request.param / "home", request.param) as made:
        note = made.root() / "notes.md"
        note.write_text("needle\n")
        note.chmod(0o644)
        yield made


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ending", ["gateway", "warden"])
def test_programs_end_with_gateway_and_with_warden(tmp_path: Path, mode: str, ending: str) -> None:
    test_boxes_end_with_gateway_and_with_warden(tmp_path, mode, ending)


def test_what_everybody_may_read_is_read(ground: Ground, outside: Path) -> None:
    """Not signed: a box would hold none of this."""
    paths = (str(outside / "loose" / "canary"), "/etc/hostname", "/usr/lib/os-release")
    wanted = plain("/usr/bin/cat", *paths).stdout
    assert wanted.startswith(b"SEEN")
    assert within(ground, lambda boxed: boxed.run("cat", *paths)).stdout == wanted


def test_other_programs_run(ground: Ground) -> None:
    """Not signed: a box would hold no other program."""
    words = ("find", ".", "-maxdepth", "0", "-exec", "/usr/bin/id", "-u", ";")
    inner = within(ground, lambda boxed: boxed.run(*words)).stdout
    assert int(inner) not in {0, os.getuid()}


def test_the_machine_is_written_only_where_an_entry_writes_and_the_account_may(ground: Ground, outside: Path) -> None:
    """Not signed: a box writes below the agent's directory alone."""
    target = outside / "loose" / f"new-{ground.mode}"
    for writable in (False, True):
        found = within(ground, lambda boxed, on=writable: boxed.run("tee", str(target), stdin=b"hi", writable=on))
        assert (found.exits == (0,), target.exists()) == (writable, writable)
    assert target.stat().st_uid == ground.uids[ONE]
    closed = outside / f"closed-{ground.mode}"
    found = within(ground, lambda boxed: boxed.run("tee", str(closed), stdin=b"hi", writable=True))
    assert (found.exits == (0,), closed.exists()) == (False, False)


def test_home_of_the_gateway_is_covered_whatever_its_modes(ground: Ground) -> None:
    paths = [ground.home / "state" / "loose", ground.home / "bascule.json5", ground.root(TWO) / "workspace" / "x.md"]
    modes = {folder: folder.stat().st_mode for path in paths for folder in (path.parent,)}
    try:
        for path in paths:
            path.write_text("SECRET")
            path.chmod(0o666)
            path.parent.chmod(0o777)
        names = [str(path) for path in paths]
        control = subprocess.run(
            ["/usr/bin/cat", *names], user=ground.uids[ONE], group=ground.uids[ONE], capture_output=True, check=False
        )
        assert control.stdout == b"SECRET" * 3, "the control cannot read them"
        found = within(ground, lambda boxed: boxed.run("cat", *names))
        assert (found.stdout, found.stderr.count(b"No such file")) == (b"", 3)
        listed = within(ground, lambda boxed: boxed.run("find", str(ground.home), "-maxdepth", "2"))
        seen = {line.removeprefix(str(ground.home)) for line in listed.stdout.decode().split()}
        assert seen == {"", "/agents", "/agents/one"}
        assert all(path.read_text() == "SECRET" for path in paths)
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode & 0o7777)
        for path in paths:
            path.unlink(missing_ok=True)


def test_home_stays_covered_where_it_is_mounted_twice(outside: Path) -> None:
    """The second place is made before the warden starts, as a machine's own mounts are."""
    home, second = outside / "twice" / "home", outside / "second"
    for folder in (home, second):
        folder.mkdir(parents=True)
    subprocess.run(["/usr/bin/mount", "--bind", str(outside / "twice"), str(second)], check=True)
    try:
        with grounded(home, "host") as made:
            (home / "loose").write_text("SECRET")
            path = second / "home" / "loose"
            assert plain("/usr/bin/cat", str(path)).stdout == b"SECRET"
            assert within(made, lambda boxed: boxed.run("cat", str(path))).stdout == b""
            assert within(made, lambda boxed: boxed.run("ls", str(second))).stdout == b"home\n"
    finally:
        subprocess.run(["/usr/bin/umount", str(second)], check=True)


def test_what_no_approval_reaches_is_not_there_either(ground: Ground) -> None:
    assert plain("/usr/bin/cat", "/etc/shadow").stdout
    places = ("/run", "/sys", "/boot", "/tmp", "/var/tmp")
    for place in places:
        assert within(ground, lambda boxed, at=place: boxed.run("ls", "-A", at)).stdout == b"", place
    devices = within(ground, lambda boxed: boxed.run("ls", "/dev")).stdout.decode().split()
    assert devices == ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"]
    assert within(ground, lambda boxed: boxed.run("cat", "/etc/shadow")).stdout == b""


def test_nothing_of_the_environment_comes_along(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASCULE_CANARY", "SECRET")
    assert b"SECRET" in plain("/usr/bin/env").stdout
    found = within(ground, lambda boxed: boxed.run("env")).stdout.decode().split()
    assert sorted(found) == ["HOME=/workspace", "LANG=C.UTF-8", "PATH=/usr/bin:/bin", "PWD=/workspace"]


def test_nothing_is_made_on_the_machine_for_a_box(ground: Ground, outside: Path) -> None:
    """A place for a mount, or for a scratch, that is not there is never made by the warden's root."""
    before = sorted(outside.rglob("*"))
    missing = outside / "loose" / "missing"

    async def body(boxed: Boxed) -> str:
        with pytest.raises(Unavailable) as refused:
            await boxed.run("true", mounts=(Mount("/usr/lib/os-release", target=str(missing / "inner")),))
        return refused.value.message

    within(ground, body)
    assert sorted(outside.rglob("*")) == before


def test_a_link_in_the_way_refuses(ground: Ground, outside: Path) -> None:
    link = outside / f"link-{ground.mode}"
    link.symlink_to("/tmp")
    try:
        with pytest.raises(Unavailable):
            within(ground, lambda boxed: boxed.run("true", mounts=(Mount("/usr/lib", target=f"{link}/x"),)))
    finally:
        link.unlink()


def test_setuid_programs_and_devices_gain_nothing(ground: Ground, outside: Path) -> None:
    raised = outside / "loose" / "raised"
    shutil.copy("/usr/bin/id", raised)
    raised.chmod(0o4755)
    node = outside / "loose" / "node"
    os.mknod(node, 0o20666, os.makedev(1, 5))
    node.chmod(0o666)
    owner = ground.uids[ONE]
    try:
        control = subprocess.run([str(raised), "-u"], user=owner, group=owner, capture_output=True, check=True)
        assert control.stdout == b"0\n"
        found = within(ground, lambda boxed: boxed.run("find", str(raised), "-exec", "{}", "-u", ";"))
        assert int(found.stdout) != 0
        assert plain("/usr/bin/head", "-c1", str(node)).stdout == b"\0"
        assert within(ground, lambda boxed: boxed.run("head", "-c1", str(node))).stdout == b""
    finally:
        raised.unlink()
        node.unlink()


def test_processes_of_the_host_cannot_be_entered_or_killed(ground: Ground) -> None:
    owner = ground.uids[ONE]
    with subprocess.Popen(["/usr/bin/sleep", "60"], user=owner, group=owner, extra_groups=[]) as victim:
        code = f"import os; print(open('/proc/{victim.pid}/environ').read(0) == ''); os.kill({victim.pid}, 15)"
        found = within(ground, lambda boxed: boxed.run(PYTHON, "-I", "-S", "-c", code))
        assert found.stdout == b""
        assert victim.poll() is None
        control = subprocess.run(
            ["/usr/bin/python3", "-c", code], user=owner, group=owner, check=True, capture_output=True
        )
        assert control.stdout == b"True\n"
        assert victim.wait(10) == -15


def test_what_a_program_leaves_running_dies_with_its_call(ground: Ground) -> None:
    left = f"import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep({700_000 + os.getpid()})\n"
    words = (PYTHON, "-I", "-S", "-c", left)
    with subprocess.Popen(words) as control:
        control.wait(20)
        assert running(left) == 1, "the control leaves nothing running"
        subprocess.run(["/usr/bin/pkill", "-KILL", "-f", f"time.sleep.{700_000 + os.getpid()}"], check=True)
    found = within(ground, lambda boxed: boxed.run(*words, limits=LIMITS))
    assert (found.exits, running(left)) == ((0,), 0)


def running(code: str) -> int:
    """How many processes of this machine run a piece of Python."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            count += code.encode() in (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
    return count


def test_a_gateway_that_names_it_and_a_warden_that_was_not_told_make_a_box(tmp_path: Path, outside: Path) -> None:
    """What a gateway that was taken over could try: the warden goes by what it was told at its start."""
    canary = str(outside / "loose" / "canary")

    async def body(boxed: Boxed) -> tuple[bytes, str]:
        bare = policies(boxed.ground.home, backend=Backend.UNSAFE_NONE)
        lying = Boxed(boxed.ground, boxed.client, UnsafeNoneBoxes(Footing(boxed.client, bare, boxed.ground.uids, 1)))
        with pytest.raises(Unavailable) as refused:
            await lying.boxes.posture(KEY)
        return (await lying.run("cat", canary)).stdout, refused.value.code

    with grounded(tmp_path / "home", "root") as made:
        assert within(made, body) == (b"", "bare_host_differs")


def test_boxes_of_another_backend_are_not_used_with_a_warden_that_was_told_of_the_bare_host(ground: Ground) -> None:
    async def body(boxed: Boxed) -> list[str]:
        usual = BubblewrapBoxes(Footing(boxed.client, policies(ground.home), ground.uids, ground.gateway))
        codes = []
        for trying in (usual.posture(KEY), usual.files(KEY), usual.text(ONE, b"<p>x", "utf-8")):
            with pytest.raises(Unavailable) as refused:
                await trying
            codes.append(refused.value.code)
        return codes

    assert within(ground, body) == ["bare_host_differs"] * 3


def test_what_lies_below_a_closed_directory_is_given_as_in_a_box(outside: Path) -> None:
    """As ``/root`` is: the way to the home, to a listed program and to a granted file leads through it."""
    closed = outside / "closed"
    closed.mkdir(0o700)
    shutil.copy("/usr/bin/id", closed / "listed")
    for name in ("granted", "other"):
        (closed / name).write_text(name)
    with grounded(closed / "home", "host") as made:
        note = made.root() / "notes.md"
        note.write_text("needle")
        note.chmod(0o644)
        owner = made.uids[ONE]
        control = ["/usr/bin/cat", str(closed / "other")]
        assert subprocess.run(control, user=owner, group=owner, capture_output=True, check=False).returncode != 0
        assert within(made, lambda boxed: boxed.run("cat", str(note))).stdout == b"needle"
        assert int(within(made, lambda boxed: boxed.run(str(closed / "listed"), "-u")).stdout) == owner
        granted = str(closed / "granted")
        assert within(made, lambda boxed: boxed.run("cat", granted, mounts=(Mount(granted),))).stdout == b"granted"
        found = within(made, lambda boxed: boxed.run("find", str(closed), "-maxdepth", "1"))
        assert found.stdout.decode().split() == [str(closed), str(closed / "home")]
