"""Variables, scratch places and limits that policy adds; what it may not say stands in ``test_boxrules.py``."""

from __future__ import annotations

from tests.policy.making import checks
from tests.policy.test_boxrules import box

from bascule.core.outfit import Outfit


def test_variables_and_scratch_places_are_carried() -> None:
    docker = {
        "env": {"LANG": "de_DE.UTF-8", "X_CREDENTIAL": "x"},
        "tmpfs": ["/tmp:size=1m", "/scratch:rw,size=2m", "/run"],
    }
    found = box({"docker": {"env": {"TZ": "UTC"}}}, {"docker": docker}).outfit
    assert found == Outfit((("TZ", "UTC"), ("LANG", "de_DE.UTF-8")), (("/tmp", 1 << 20), ("/scratch", 2 << 20)))
    agents = {"list": [{"id": "a", "sandbox": {"docker": docker}}]}
    assert {"sandbox.tmpfs_inert", "sandbox.env_dropped"} <= checks({"agents": agents})


def test_ulimits_only_tighten() -> None:
    usual = box().limits
    ulimits = {"nofile": {"soft": 64, "hard": 128}, "nproc": "8:9", "fsize": 4096, "cpu": 10**6, "core": 0}
    found = box({"docker": {"ulimits": ulimits}}).limits
    assert (found.open_files, found.pids, found.file_bytes, found.cpu_seconds) == (64, 8, 4096, usual.cpu_seconds)
    wide = box({"docker": {"ulimits": {"nofile": 10**9, "nproc": 10**9, "fsize": 10**12}}}).limits
    assert wide == usual
    assert box({"docker": {"memory": "256m", "memorySwap": "1g"}}).limits.memory_bytes == 256 << 20
