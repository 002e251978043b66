"""The small local model: its child dies and comes back (played by a stand-in), and it really answers (the real one)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.runtime.world import EXEC, READ, SESSION, ran, world

from bascule.runtime.events import TurnStatus
from bascule.runtime.local_model import fetch, pins
from bascule.runtime.messages import ToolRequest, UserSaid
from bascule.runtime.providers import local
from bascule.runtime.providers.local import LocalProvider
from bascule.runtime.providers.port import Ask, Fault, Reply

STAND_IN = """
import json, os, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    words = json.loads(line)["messages"][-1]["content"]
    if words == "die":
        os._exit(9)
    if words == "hang":
        import time; time.sleep(60)
    said = os.environ.get("ANTHROPIC_API_KEY", "no key") if words == "key" else words
    print(words if words == "garble" else json.dumps({"content": json.dumps({"say": said})}), flush=True)
"""


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalProvider:
    path = tmp_path / "child.py"
    path.write_text(STAND_IN)
    monkeypatch.setattr(local.child, "__file__", str(path))
    monkeypatch.setattr(fetch, "ensure", lambda *_: fetch.Parts(tmp_path / "weights", None))
    return LocalProvider(tmp_path)


async def asked(provider: LocalProvider, words: str) -> Reply | Fault:
    async def nothing(_: str) -> None:
        return

    return await provider.ask(Ask(SESSION, "", (UserSaid(words),), (READ, EXEC), 0), nothing, lambda _: None)


@pytest.mark.parametrize("trouble", ["die", "garble"])
def test_a_child_that_breaks_is_one_line_and_the_next_one_answers(provider: LocalProvider, trouble: str) -> None:
    async def story() -> None:
        assert await asked(provider, "hi") == Reply("hi")
        fault = await asked(provider, trouble)
        assert isinstance(fault, Fault)
        assert (fault.code, fault.again) == ("local_model_died", True)
        assert "\n" not in fault.message
        assert await asked(provider, "back") == Reply("back")
        await provider.close()
        await provider.close()

    asyncio.run(story())


def test_the_child_has_no_key(provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")

    async def story() -> None:
        assert await asked(provider, "key") == Reply("no key")
        await provider.close()

    asyncio.run(story())


def test_cancelling_ends_the_child(provider: LocalProvider) -> None:
    async def story() -> None:
        assert await asked(provider, "hi") == Reply("hi")
        child = provider._child
        assert child is not None
        waiting = asyncio.create_task(asked(provider, "hang"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert child.returncode is not None
        assert await asked(provider, "again") == Reply("again")
        await provider.close()

    asyncio.run(story())


def test_the_banner_says_what_it_cannot_do(provider: LocalProvider) -> None:
    for word in ("cannot plan", "invents", "make demo", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        assert word in provider.banner


@pytest.mark.slow
@pytest.mark.live
def test_the_real_model_reads_a_file_through_the_gate_without_a_port(tmp_path: Path) -> None:
    cache = Path(os.environ.get("BASCULE_TEST_MODELS", str(tmp_path / "models")))
    real = LocalProvider(cache)
    w = world(tmp_path, real, [ran("The boat leaves at nine.\n")])

    async def story() -> None:
        try:
            ended = await w.say("Please read the file notes.md")
            assert ended.status is TurnStatus.DONE, ended
            assert ended.text
            assert real._child is not None
            assert sockets(real._child.pid) == set()
        finally:
            await real.close()

    asyncio.run(story())
    assert [(p.untrusted_tool, p.untrusted_args) for p in w.gate.proposals] == [("read", '{"path": "notes.md"}')]
    assert w.history.messages(SESSION)[1].calls == (ToolRequest("read", '{"path": "notes.md"}'),)
    assert (cache / pins.WEIGHTS_FILE).stat().st_size == pins.WEIGHTS_BYTES
    w.close()


def sockets(pid: int) -> set[str]:
    """Inodes of internet sockets that a process holds."""
    held: set[str] = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(descriptor)
        if target.startswith("socket:["):
            held.add(target[8:-1])
    open_sockets: set[str] = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            open_sockets.add(line.split()[9])
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            open_sockets.add(line.split()[9])
    return held & open_sockets
