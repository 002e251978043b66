"""One program in a container: a child with its own session, limits, files and system calls, from fork to exit status.

Stops: a program opening what was not decided for it, changing modes, making sockets, leaving memory behind in kernel
objects (the gateway's filter), and using more than its limits. Its own privileges were dropped with the container.
"""

from __future__ import annotations

import fcntl
import os
import resource

from bascule.sandboxes.resident import signals
from bascule.sandboxes.resident.places import certificates, open_rules
from bascule.sandboxes.worker import walls

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, NoReturn

_READY = b"S"
_BEYOND = 10
_MOST_DESCRIPTORS = 4096
_OPEN_FILES = 1024


class Running:
    """A program that was forked.

    Attributes:
        number: what the gateway calls it.
        order: id of the order that asked for it.
        pid: its process.
        status: where it reports until it is the program; -1 once closed.
        deadline: when its time is up, by the monotonic clock.
        text: what it reported.
        told: the gateway knows that it came up.
        timed_out: its time was up.
    """

    __slots__ = ("deadline", "number", "order", "pid", "status", "text", "timed_out", "told")

    def __init__(self, number: int, order: int, pid: int, status: int, deadline: float) -> None:
        self.number, self.order, self.pid, self.status, self.deadline = number, order, pid, status, deadline
        self.text = b""
        self.told = self.timed_out = False

    @property
    def is_ready(self) -> bool:
        """It has all its walls."""
        return self.text.startswith(_READY)

    @property
    def problem(self) -> tuple[str, str]:
        """What went wrong before it was the program, as code and message; empty for nothing."""
        said = self.text.removeprefix(_READY)
        if not said:
            return ("", "") if self.is_ready else ("box_failed", "a program could not be started")
        return "box_setup", said.decode("utf-8", "replace")[:300]


def start(order: dict[str, Any], rights: dict[str, int], files: list[int], number: int, now: float) -> Running:
    """Fork the program.

    Args:
        order: as parsed.
        rights: Landlock rights by path.
        files: three streams, and perhaps one to wait for.
        number: what to call it.
        now: by the monotonic clock.

    Raises:
        OSError: no process can be made.
    """
    status, report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        pid = os.fork()
        if pid == 0:
            _become(order, rights, files, report)
    except OSError:
        os.close(status)
        raise
    finally:
        os.close(report)
    return Running(number, int(order["id"]), pid, status, now + float(order["limits"]["wall_seconds"]))


def _become(order: dict[str, Any], rights: dict[str, int], files: list[int], report: int) -> NoReturn:
    try:
        os.setsid()
        os.umask(0o022)
        report = _place(files, report)
        _limit(order["limits"])
        landlock = walls.restrict_files(open_rules(rights), order["port"], connects=order["bridge"])
        os.chdir("/workspace")
        bundle = certificates(order)
        environment = {**({"SSL_CERT_FILE": bundle} if bundle else {}), **order["environment"]}
        os.write(report, _READY)
        if len(files) > 3:
            os.read(_BEYOND - 1, 1)
            os.close(_BEYOND - 1)
        if landlock < walls.TRUNCATE_SINCE:
            walls.install_filter(walls.uncut_program(os.uname().machine))
        walls.install_filter(bytes.fromhex(order["filter"]))
        os.execve(order["program"], order["argv"], environment)  # noqa: S606 -- the words are a list as judged
    except BaseException as error:  # noqa: BLE001 -- nothing of a half-made program may go on
        os.write(report, (str(error) or type(error).__name__)[:300].encode("utf-8", "replace"))
    finally:
        os._exit(125)


def _place(files: list[int], report: int) -> int:
    """Put the descriptors where a program finds them and close every other; return the report's."""
    wanted = dict(enumerate(files[:3]))
    if len(files) > 3:
        wanted[_BEYOND - 1] = files[3]
    wanted[_BEYOND] = report
    high = {place: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _BEYOND + 10) for place, source in wanted.items()}
    for place, source in high.items():
        os.dup2(source, place, inheritable=place < 3)
    os.closerange(3, _BEYOND - 1)
    if len(files) <= 3:
        os.close(_BEYOND - 1) if _is_open(_BEYOND - 1) else None
    os.closerange(_BEYOND + 1, _MOST_DESCRIPTORS)
    return _BEYOND


def _is_open(descriptor: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def _limit(limits: dict[str, int]) -> None:
    # Undumpable processes cannot write their own score; what exec makes of this one is dumpable anyway.
    walls.set_dumpable(on=True)
    score = os.open(
        "/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC
    )  # as text, each program's start loads a codec
    os.write(score, b"500")
    os.close(score)
    signals.restore()
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: limits["cpu_seconds"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_DATA: limits["memory_bytes"],
        resource.RLIMIT_NOFILE: min(_OPEN_FILES, limits["open_files"]),
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for which, most in wanted.items():
        hard = resource.getrlimit(which)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (least, least))
