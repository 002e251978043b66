"""Starting and stopping a gateway process: in the background, in the foreground, or for one verb only.

Stops: a second gateway on a home (the lock names the first), a start that failed being reported as done (the parent
waits for the gateway's own hello), and a gateway that outlives its verb (the inherited connection is its lease of
life). Does not stop: ``kill -9``; the kernel drops the lock then, and the next start replaces the stale socket.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import stat
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn, Protocol, cast

from bascule.cli.sink import Sink
from bascule.control import place
from bascule.control.client import Client
from bascule.control.place import Lock, Process
from bascule.control.protocol import MAX_ANSWER, encode, error_body, error_frame, read_error
from bascule.core.errors import BasculeError, NotPermitted, Tampered, Unavailable
from bascule.host.site import site_of

LOCK_SECONDS: Final = 30.0
"""How long a verb waits for another verb that has the home open."""

STOP_SECONDS: Final = 30.0
"""How long a gateway may take to end its boxes and close its ledger."""

POLL_SECONDS: Final = 0.02
"""Between two looks at a lock or a process."""

TELL_SECONDS: Final = 3.0
"""How long a gateway that closed its socket may take to say why."""

PIPE_BYTES: Final = 65_536
"""What a pipe takes at once (``pipe(7)``); an error is at most a few thousand characters."""

LOG: Final = "gateway.log"


class Body(Protocol):
    """``bascule.app.serve``: the gateway process from start to end.

    Exactly one of the two sockets is given: ``listener`` (already bound; serve until told to stop) or ``connection``
    (serve that one connection, then end). Raises the exceptions of ``core/errors.py`` if it cannot start.
    """

    def __call__(self, home: Path, *, listener: socket.socket | None, connection: socket.socket | None) -> None:
        """Run until the end."""


def _body() -> Body:
    # By name and only here: importing the application costs more than every verb that merely asks a running gateway.
    return cast("Body", importlib.import_module("bascule.app").serve)


def rehearse(home: Path) -> None:
    """Find out whether the home's policy could be started with, so that a broken one stops nothing that runs.

    Raises:
        BasculeError: why not.
    """
    importlib.import_module("bascule.app").rehearse(home)


def connect(home: Path) -> Client:
    """Return a client of the home's running gateway, or of a fresh one that ends with the client.

    Raises:
        BasculeError: the home cannot be used, another verb keeps it (``home_locked``), or its gateway cannot start.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        if (connection := place.dial(home)) is not None:
            return Client(connection, lambda: None)
        if site_of(home).installed and os.geteuid() != 0:
            raise Unavailable("gateway_not_running", f"no gateway runs for {home}", "as root: bascule gateway start")
        if (lock := place.take_lock(home)) is not None:
            return _ephemeral(home, lock)
        if time.monotonic() > deadline:
            raise _held(home)
        time.sleep(POLL_SECONDS)


def running(home: Path) -> Client | None:
    """Return a client of the home's running gateway, None if none runs."""
    connection = place.dial(home)
    return None if connection is None else Client(connection, lambda: None)


def _listens(home: Path) -> bool:
    connection = place.dial(home)
    if connection is not None:
        connection.close()
    return connection is not None


def _held(home: Path) -> Unavailable:
    found = place.holder(home)
    who = f"{found.kind} with pid {found.process.pid}" if found else "another process"
    return Unavailable("home_locked", f"{who} has {home} open", "wait for it, or run: bascule gateway stop")


def _ephemeral(home: Path, lock: Lock) -> Client:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        log = _open_log(home)
        child = os.fork()
    except BaseException:
        ours.close()
        theirs.close()
        lock.release()
        raise
    if child == 0:
        ours.close()
        _become_service(log)
        lock.name_holder("ephemeral")
        # The body may hand its end on and close it before it knows that it cannot start; this one is for saying so.
        spare = theirs.dup()
        _run(lambda: _body()(home, listener=None, connection=theirs), lambda error: _tell_client(spare, error))
    os.close(log)
    theirs.close()
    lock.release()
    return Client(ours, lambda: _reap(child))


def _reap(child: int) -> None:
    """Wait for an ephemeral gateway to end, so that the next verb finds the home free."""
    deadline = time.monotonic() + STOP_SECONDS
    with suppress(ChildProcessError):
        while os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.002)


def start(home: Path) -> Client:
    """Start a gateway in the background and return a client of it once it has said hello.

    Raises:
        NotPermitted: ``gateway_running``.
        BasculeError: it could not start; the reason is its own.
    """
    lock = _lock_for_gateway(home)
    try:
        log = _open_log(home)
        listener = place.listen(home)
    except BaseException:
        lock.release()
        raise
    told, tell = os.pipe()
    if (child := os.fork()) == 0:
        os.close(told)
        if os.fork() > 0:
            os._exit(0)
        _become_service(log)
        lock.name_holder("gateway")
        _run(lambda: _until_stopped(home, listener), lambda error: _tell_starter(tell, error))
    os.waitpid(child, 0)
    for descriptor in (log, tell):
        os.close(descriptor)
    listener.close()
    lock.release()
    try:
        return _await_hello(home, told)
    finally:
        os.close(told)


def _await_hello(home: Path, told: int) -> Client:
    try:
        if (client := running(home)) is not None:
            return client
    except BasculeError as error:
        if error.code != "gateway_gone":
            raise
    # The socket closes a moment before the reason is told, and a helper process may keep the pipe open for ever.
    ready = select.select([told], [], [], TELL_SECONDS)[0]
    if ready and (said := os.read(told, PIPE_BYTES)):
        raise read_error(json.loads(said))
    reason = last_log_line(home)
    raise Unavailable("gateway_failed", f"the gateway did not start: {reason}", "see logs/gateway.log")


def foreground(home: Path) -> None:
    """Be the gateway, logging to standard error, until told to stop.

    Raises:
        NotPermitted: ``gateway_running``.
        BasculeError: it could not start.
    """
    lock = _lock_for_gateway(home)
    try:
        lock.name_holder("gateway")
        _until_stopped(home, place.listen(home))
    finally:
        lock.release()


def _until_stopped(home: Path, listener: socket.socket) -> None:
    try:
        _body()(home, listener=listener, connection=None)
    finally:
        listener.close()
        place.withdraw(home)


def _lock_for_gateway(home: Path) -> Lock:
    deadline = time.monotonic() + LOCK_SECONDS
    while (lock := place.take_lock(home)) is None:
        found = place.holder(home)
        # One that was killed keeps the home until its boxes are ended, but nobody listens any more.
        if found is not None and found.kind == "gateway" and found.process.alive and _listens(home):
            pid = found.process.pid
            raise NotPermitted("gateway_running", f"a gateway with pid {pid} already runs for {home}")
        if time.monotonic() > deadline:
            raise _held(home)
        time.sleep(POLL_SECONDS)
    return lock


def stop(home: Path) -> Process:
    """Ask the home's gateway to stop, wait until its processes are gone, and return which it was.

    Raises:
        Unavailable: ``gateway_not_running``, or ``gateway_stuck`` if it is still there after 30 s.
    """
    client = running(home)
    if client is None:
        raise Unavailable("gateway_not_running", f"no gateway runs for {home}", "run: bascule gateway start")
    with client:
        gateway = Process(int(client.hello["pid"]), int(client.hello["started"]))
        found = place.holder(home)
        # The socket may close before the answer to a request that ends the process; what counts is its absence below.
        with suppress(Unavailable):
            client.request("shutdown")
    processes = [gateway, *([found.process] if found else [])]
    deadline = time.monotonic() + STOP_SECONDS
    while any(process.alive for process in processes):
        if time.monotonic() > deadline:
            raise Unavailable("gateway_stuck", f"the gateway with pid {gateway.pid} has not ended", "see its log")
        time.sleep(POLL_SECONDS)
    return gateway


def _open_log(home: Path) -> int:
    """Open the log for appending, 0600 and the home owner's, following no link."""
    directory = site_of(home).logs
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            log = os.open(LOG, flags, 0o600, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable("log_failed", f"cannot write {directory / LOG}: {error.strerror}") from None
    seen = os.fstat(log)
    if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1:
        os.close(log)
        raise Tampered("log_unsafe", f"{directory / LOG} is not a plain file", "remove it")
    os.fchmod(log, 0o600)
    if os.geteuid() == 0:
        owner = home.stat()
        os.fchown(log, owner.st_uid, owner.st_gid)
    return log


def last_log_line(home: Path) -> str:
    """Return the last line of the gateway's log, for an error that has nothing better to say."""
    try:
        lines = (site_of(home).logs / LOG).read_bytes()[-4096:].decode("utf-8", "replace").splitlines()
    except OSError:
        return "its log cannot be read"
    return lines[-1] if lines else "its log is empty"


def _become_service(log: int) -> None:
    """Leave the terminal: own session (so that Ctrl-C ends the verb, and the verb ends us), no input, output to log."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for descriptor in (nothing, log):
        os.close(descriptor)
    os.chdir("/")


def _run(body: Callable[[], None], tell: Callable[[BasculeError], None]) -> NoReturn:
    """Run a child's body and end the process; why it could not start is told to the parent and to the log."""
    status = 1
    try:
        body()
        status = 0
    except BasculeError as error:
        Sink(as_json=False).error(error)
        tell(error)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException as error:  # noqa: BLE001 (this process ends here whatever happened; the log gets the trace)
        traceback.print_exception(error)
        tell(Unavailable("internal_error", "the gateway failed while starting", "see logs/gateway.log"))
    finally:
        os._exit(status)


def _tell_client(connection: socket.socket, error: BasculeError) -> None:
    """Refuse the verb in its own protocol, where it waits for a hello."""
    with suppress(OSError):
        connection.settimeout(1)
        connection.sendall(encode({"refused": error_body(error), "kind": type(error).__name__}, MAX_ANSWER))


def _tell_starter(pipe: int, error: BasculeError) -> None:
    with suppress(OSError):
        os.write(pipe, json.dumps(error_frame(0, error)).encode("ascii")[:PIPE_BYTES])
