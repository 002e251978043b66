import hashlib
import subprocess

from hypothesis import given
from hypothesis import strategies as st
from tests.sandboxes.worker.started import PYTHON, SOURCE

from bascule.sandboxes.worker.digest import sha256


@given(st.binary(max_size=1000))
def test_it_is_sha256(content):
    assert sha256(content).hexdigest() == hashlib.sha256(content).hexdigest()


def test_a_worker_does_not_load_what_is_heavy():
    code = (
        "import sys; sys.path.append(sys.argv[1]); import bascule.sandboxes.worker.main; print(*sys.modules, sep='\\n')"
    )
    run = subprocess.run([PYTHON, "-I", "-S", "-c", code, SOURCE], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "bascule.sandboxes.worker.main" in loaded
    heavy = {"json", "re", "enum", "typing", "dataclasses", "socket", "subprocess", "asyncio", "threading", "hashlib"}
    assert not loaded & heavy
    ours = {name for name in loaded if name.startswith("bascule.")}
    assert all(name.startswith("bascule.sandboxes.worker") or name == "bascule.sandboxes" for name in ours)
