"""A container as Docker leaves it, and what it does once the warden was in it."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

import pytest
from tests.ordinary import until
from tests.sandboxes import daemon
from tests.sandboxes.boxed import LIMITS, ROOT_BASE

from bascule.core.policy import DEFAULT_IMAGE
from bascule.sandboxes.docker.argv import LABEL_HOME, PLACE, Container, container_body
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.warden.config import config_here
from bascule.sandboxes.warden.containers import code_binds
from bascule.sandboxes.warden.stage import BOX_CODE, Bind, identity_files
from bascule.sandboxes.warden.tightening import Source, tighten

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("containers can be tried by root only", allow_module_level=True)

UID = ROOT_BASE + 1
SEVERAL_LOOKS = 200


def waits(pid: int) -> int:
    """How often a process has gone to sleep by itself."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:"))


def is_spoken_to(listener: socket.socket) -> bool:
    return bool(select.select([listener], [], [], 0)[0])


def test_a_container_takes_no_order_before_it_was_tightened(tmp_path: Path) -> None:
    """T16: whoever answers for it, as a gateway that was taken over would at once."""
    engine = Engine(daemon.SOCKET)
    image = engine.image(DEFAULT_IMAGE)
    assert image is not None
    place = tmp_path / "place"
    place.mkdir(mode=0o755)
    config = config_here(str(tmp_path), {}, ROOT_BASE, canary="")
    binds = (*code_binds(config.worker_code), Bind(str(place), PLACE))
    sources = [Source(os.open(bind.source, os.O_PATH), bind) for bind in binds]
    labels = {LABEL_HOME: str(tmp_path)}
    body = container_body(Container(str(image["Id"]), UID, binds, (), LIMITS, 1 << 20, labels), BOX_CODE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as answers:
        answers.bind(str(place / "line"))
        (place / "line").chmod(0o666)
        answers.listen(1)
        made, _ = engine.create(f"bascule-loose-{os.getpid()}", body)
        try:
            engine.start(made)
            found = engine.inspect(made)
            assert found is not None
            pid = found["State"]["Pid"]
            assert until(lambda: is_spoken_to(answers) or waits(pid) > SEVERAL_LOOKS)
            assert not is_spoken_to(answers)
            process = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY)
            tighten(process, sources, (), identity_files(UID))
            os.close(process)
            assert until(lambda: is_spoken_to(answers))
        finally:
            engine.remove(made)
            for source in sources:
                os.close(source.descriptor)
