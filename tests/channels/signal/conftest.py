from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.signal_daemon import SignalDaemon
from tests.channels.signal.acting_house import US, House, LiveChannel, policy


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    os.chmod(tmp_path, 0o700)
    daemon = SignalDaemon(US).start()
    try:
        yield House(tmp_path, LiveChannel(), daemon, policy())
    finally:
        daemon.stop()
