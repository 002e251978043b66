"""T16: a gateway that was taken over says whatever it likes to its warden while containers stand: damaged, cut, huge,
replayed, out of order, from many threads at once, with descriptors of every kind.

One agent's container, another's, and one of another home are looked at from outside before and after: nothing of them
changes, and they go on working. What the warden holds is counted. The control: what is asked properly in between is done.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.killing import Aside
from tests.attacks.mutating import does_something, mutated, refused
from tests.attacks.pressing import boxes, first, heard, living, say, settle, wardens, worker
from tests.ordinary import until
from tests.sandboxes import daemon
from tests.sandboxes.boxed import LIMITS, ONE, TWO, Boxed, Ground, grounded, within

from bascule.core.confinement import Mount
from bascule.core.ids import AgentId
from bascule.core.plan import ProgramKind
from bascule.core.policy import DEFAULT_IMAGE
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.docker.place import Place
from bascule.sandboxes.warden.container_requests import CheckTools, Contain, Discharge, ListContainers
from bascule.sandboxes.warden.messages import Kill, RunProgram, StartWorker, Status, Stop, write

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("a warden that is root is pressed", allow_module_level=True)

SEED = int(os.environ.get("BASCULE_TEST_SEED") or random.SystemRandom().getrandbits(32))
ALONE, AT_ONCE, THREADS = 1200, 1200, 4
MORE_MEMORY = 48 << 20
"""Bytes by which a warden may grow; what it was sent in the meantime is several times that."""


class Stood:
    """A container that somebody who has the warden's socket had made, and its first process's line."""

    def __init__(self, ground: Ground, agent: AgentId, number: int) -> None:
        with Place(ground.home / "state" / "boxes") as place:
            self.place = place.name
            self.request = write(contain(agent, place.name, number))
            socket.send_fds(ground.socket, [self.request], [])
            said = heard(ground, number)
            assert said["ok"], said
            self.id = str(said["container"])
            place._listener.settimeout(30)
            self.line, _ = place._listener.accept()

    def portrait(self) -> dict[str, Any]:
        """All that the engine and the kernel say of it."""
        known = Engine(daemon.SOCKET).inspect(self.id)
        assert known is not None, "the container is gone"
        pid = known["State"]["Pid"]
        groups = sorted(Path("/sys/fs/cgroup").glob(f"*/docker/{self.id}/*.*"))
        limits = {str(path): path.read_text() for path in groups if path.name.endswith((".max", ".limit_in_bytes", ".procs", ".cfs_quota_us"))}  # fmt: skip
        spaces = {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in os.listdir(f"/proc/{pid}/ns")}
        assert limits
        return {
            **known,
            "Mounts": sorted(known["Mounts"], key=str),  # in whatever order the engine comes upon them
            "mounts": Path(f"/proc/{pid}/mountinfo").read_text(),
            "spaces": spaces,
            "groups": limits,
            "root": os.stat(f"/proc/{pid}/root/").st_ino,
        }

    def works(self) -> bool:
        """Its first process answers, and nothing but it is there."""
        self.line.settimeout(30)
        self.line.send(b'{"id": 1, "op": "clear", "scratches": []}')
        said = json.loads(self.line.recv(1 << 16))
        return bool(said["ok"] and said["clean"])


def contain(agent: AgentId, place: str, number: int = 1) -> Contain:
    return Contain(number, agent, place, DEFAULT_IMAGE, "a" * 64, writable=True, mounts=(), limits=LIMITS)


class Scene:
    """A warden with two agents' containers and a box, beside another home with a container of its own."""

    def __init__(self, ground: Ground, other: Ground) -> None:
        self.ground, self.other = ground, other
        self.mine, self.theirs = Stood(ground, ONE, 1), Stood(ground, TWO, 2)
        self.foreign = Stood(other, ONE, 3)
        self.box, self.worker = worker(ground, 4, TWO)
        everything = [
            ListContainers(5), CheckTools(6, ONE), Status(7, self.box), Kill(8, self.box), Stop(9, ONE), Discharge(10, TWO, self.theirs.place),
            StartWorker(11, TWO, writable=True, mounts=(Mount("/usr/lib/os-release"),), limits=LIMITS),
            RunProgram(12, ONE, ("true", "x"), "/usr/bin/true", "0" * 64, ProgramKind.NATIVE, "", ("/bin/sh",), True, (), LIMITS),
        ]  # fmt: skip
        self.honest = [self.mine.request, self.theirs.request, *(write(each) for each in everything)]

    def state(self) -> dict[str, Any]:
        """All that may not change."""
        standing = {"mine": self.mine, "theirs": self.theirs, "foreign": self.foreign}
        found = {f"{name} {what}": value for name, each in standing.items() for what, value in each.portrait().items()}
        return {**settle(self.ground), **found, "files": sorted(str(path) for path in self.ground.home.rglob("*"))}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    base = tmp_path_factory.mktemp("t16f")
    with grounded(base / "other" / "home", "docker") as other, grounded(base / "home", "docker") as ground:
        for each in (ground, other):
            each.socket.settimeout(60)
        (ground.root() / "notes.md").write_text("needle")
        (ground.root() / "notes.md").chmod(0o644)
        made = Scene(ground, other)
        yield made
        for line in (made.worker, *(each.line for each in (made.mine, made.theirs, made.foreign))):
            line.close()
    for each in (ground, other):
        assert until(lambda each=each: daemon.containers(each.home) == [] and wardens(each) == [])


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(f"{SEED} {request.node.name}")


@contextmanager
def told() -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"again with BASCULE_TEST_SEED={SEED}")
        raise


@contextmanager
def unchanged(scene: Scene) -> Iterator[None]:
    """See that nothing that stands was touched, that the warden holds what it held, and that it still serves."""
    before, memory = scene.state(), resident(first(scene.ground))
    with told():
        yield
        after = scene.state()
        assert {name: (what, before[name]) for name, what in after.items() if what != before[name]} == {}
        assert resident(first(scene.ground)) - memory < MORE_MEMORY
        assert scene.mine.works()
        assert scene.theirs.works()
        assert scene.foreign.works()
        say(scene.ground, {"id": 77, "op": "status", "box": scene.box}, [])
        assert heard(scene.ground, 77)["kernel_uid"] == scene.ground.uids[TWO]


def resident(pid: int) -> int:
    """The most memory a process ever had, in bytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


@contextmanager
def descriptors(ground: Ground) -> Iterator[list[int]]:
    """One of every kind that could be of use to somebody."""
    with ExitStack() as held:
        opened = [os.open("/dev/null", os.O_RDWR), os.open("/", os.O_PATH), os.open("/etc", os.O_RDONLY), *os.pipe(), os.pidfd_open(os.getpid())]  # fmt: skip
        opened += [os.memfd_create("x"), os.dup(ground.socket.fileno())]
        opened += [made.detach() for made in socket.socketpair()]
        for descriptor in opened:
            held.callback(os.close, descriptor)
        yield [*opened, held.enter_context(select.epoll()).fileno()]


def fuzz(scene: Scene, dice: random.Random, count: int) -> list[bytes]:
    """Messages that may not do anything to anybody who stands here."""
    found: list[bytes] = []
    while len(found) < count:
        message = mutated(dice, scene.honest)
        if not does_something(message, (ONE, TWO)):
            found.append(message)
    return found


def answer(connection: socket.socket) -> dict[str, Any]:
    return dict(json.loads(connection.recv(1 << 18)))


def test_what_is_damaged_is_refused(scene: Scene, dice: random.Random) -> None:
    with unchanged(scene), descriptors(scene.ground) as opened:
        kinds = {True: 0, False: 0}
        for message in fuzz(scene, dice, ALONE):
            files = dice.sample(opened, dice.choice((0, 0, 0, 1, 2, 3, 8, len(opened))))
            socket.send_fds(scene.ground.socket, [message], files)
            said = answer(scene.ground.socket)
            outside = refused(message)
            kinds[outside] += 1
            assert not (outside and said["ok"]), message[:500]
        assert min(kinds.values()) > 5, "nothing but nonsense was said, or none"


def test_so_it_is_from_many_threads_at_once_and_nobody_reading(scene: Scene, dice: random.Random) -> None:
    with unchanged(scene):
        messages = fuzz(scene, dice, AT_ONCE)
        count = sum(map(refused, messages))

        def shout(mine: list[bytes]) -> None:
            with scene.ground.socket.dup() as line:
                line.settimeout(60)
                for message in mine:
                    line.send(message)

        shouting = [Aside(lambda part=part: shout(messages[part::THREADS])) for part in range(THREADS)]
        said = [answer(scene.ground.socket) for _ in messages]
        for each in shouting:
            each.join()
        assert sum(not each["ok"] for each in said) >= count


def test_what_was_said_before_is_not_done_again(scene: Scene, dice: random.Random) -> None:
    """Not at a place that is gone, nor at one that was put there again in whatever shape."""
    folder = scene.ground.home / "state" / "boxes" / scene.mine.place

    def shapes() -> Iterator[None]:
        yield
        folder.mkdir()
        yield
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            descriptor = os.open(folder, os.O_PATH)
            listening.bind(f"/proc/self/fd/{descriptor}/line")
            os.close(descriptor)
            yield
        shutil.rmtree(folder)
        for target in (scene.ground.root(TWO), Path("/etc"), scene.other.home):
            folder.symlink_to(target)
            yield
            folder.unlink()
        os.mkfifo(folder)
        yield
        folder.unlink()

    with unchanged(scene):
        for _ in shapes():
            for _ in range(3):
                socket.send_fds(scene.ground.socket, [scene.mine.request], [])
                said = heard(scene.ground, 1)
                assert said["ok"] is False, said


def test_each_word_reaches_only_whom_it_names(scene: Scene) -> None:
    """Everything here is said properly, of a container that is another's."""
    wrong = [
        Discharge(20, TWO, scene.mine.place), Discharge(20, ONE, scene.theirs.place), Discharge(20, None, scene.foreign.place),
        Discharge(20, ONE, scene.foreign.place), Stop(20, ONE), Kill(20, scene.box + 1), contain(ONE, scene.foreign.place, 20),
        contain(AgentId("nobody"), scene.mine.place, 20), contain(TWO, scene.mine.place, 20),
    ]  # fmt: skip
    with unchanged(scene):
        for request in wrong:
            scene.ground.socket.send(write(request))
            said = heard(scene.ground, 20)
            assert said["ok"] is not isinstance(request, Contain), (request, said)


def test_out_of_order_and_all_at_once(scene: Scene, dice: random.Random) -> None:
    """A container is ended before it is made, made twice, and looked for in the meantime, each in its own order."""
    with unchanged(scene):
        for number in range(100, 104):
            with Place(scene.ground.home / "state" / "boxes") as place:
                words = [contain(ONE, place.name, number)] * 2
                words += [Discharge(number, ONE, place.name)] * 2  # type: ignore[list-item] # words of several kinds
                words += [ListContainers(number), CheckTools(number, ONE)]  # type: ignore[list-item] # the same
                for word in dice.sample(words, len(words)):
                    scene.ground.socket.send(write(word))
                said = [heard(scene.ground, number) for _ in words]
                assert sum("container" in each for each in said) <= 2
            scene.ground.socket.send(write(Discharge(number, ONE, place.name)))
            assert heard(scene.ground, number) == {"id": number, "ok": True}
            assert len(daemon.containers(scene.ground.home)) == 2


def test_more_than_may_be_asked_for_at_once(scene: Scene, dice: random.Random) -> None:
    with unchanged(scene):
        words = [contain(dice.choice((ONE, TWO)), dice.randbytes(16).hex(), 300 + number) for number in range(100)]
        for word in words:
            scene.ground.socket.send(write(word))
        said = [answer(scene.ground.socket) for _ in words]
        assert sorted(each["id"] for each in said) == [word.id for word in words]
        assert {each["ok"] for each in said} == {False}


def test_what_is_asked_properly_is_done(scene: Scene) -> None:
    """The control: another container is made and ended, and a program runs in one as it always does."""
    with unchanged(scene):
        made = Stood(scene.ground, ONE, 50)
        assert made.works()
        assert len(daemon.containers(scene.ground.home)) == 3
        scene.ground.socket.send(write(Discharge(51, ONE, made.place)))
        assert heard(scene.ground, 51)["ok"]
        made.line.close()
    with grounded(scene.ground.home.with_name("third"), "docker") as ground:
        (ground.root() / "notes.md").write_text("needle")
        (ground.root() / "notes.md").chmod(0o644)
        for message in fuzz(scene, random.Random(f"{SEED} third"), 50):
            ground.socket.send(message)
            answer(ground.socket)

        async def body(boxed: Boxed) -> bytes:
            return (await boxed.run("cat", "notes.md")).stdout

        assert within(ground, body) == b"needle"


@pytest.mark.parametrize("ending", ["closed", "farewell", "killed"])
def test_one_that_goes_in_the_midst_of_it_leaves_nothing(ending: str, tmp_path: Path, dice: random.Random) -> None:
    with ExitStack() as held, grounded(tmp_path / "home", "docker") as ground:
        ground.socket.settimeout(60)
        standing = Stood(ground, TWO, 1)
        held.callback(standing.line.close)
        _, line = worker(ground, 2, ONE)
        held.callback(line.close)
        places = [held.enter_context(Place(ground.home / "state" / "boxes")) for _ in range(3)]
        words = [write(contain(ONE, place.name, 10)) for place in places]
        words += [mutated(dice, words) for _ in range(dice.randrange(30))]
        theirs = boxes(ground)
        assert len(living(ground, theirs)) > 1
        for message in dice.sample(words, len(words)):
            ground.socket.send(message)
        for _ in range(dice.randrange(4)):
            ground.socket.recv(1 << 18)
        if ending == "killed":
            os.kill(first(ground), 9)
        elif ending == "farewell":
            ground.socket.send(b"")
        else:
            ground.socket.close()
        assert until(lambda: wardens(ground) == [])
        for line in (standing.line, *(place._listener for place in places)):  # as the kernel does for one that goes
            line.close()
        if ending != "killed":
            assert until(lambda: daemon.containers(ground.home) == [])
        assert until(lambda: living(ground, theirs) == [])
        # The engine still does what it was asked for last; what it starts finds nobody and ends.
        assert until(lambda: running(ground) == [])
        daemon.kill_containers(ground.home)


def running(ground: Ground) -> list[str]:
    found = [Engine(daemon.SOCKET).inspect(each) for each in daemon.containers(ground.home)]
    return [str(each["Id"]) for each in found if each is not None and each["State"]["Running"]]
