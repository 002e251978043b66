from __future__ import annotations

import asyncio
import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attacks.race import flipping
from tests.sandboxes.worker.started import place, started

from bascule.core.errors import Malformed, Unavailable
from bascule.sandboxes.hello import Root, WorkerLimits
from bascule.sandboxes.worker.reading import CHUNK, identify, scan
from bascule.sandboxes.worker.refusal import RefusedError
from bascule.sandboxes.worker.roots import Root as WorkerRoot
from bascule.sandboxes.worker.roots import Roots


@settings(max_examples=60)
@given(st.binary(max_size=3000), st.integers(0, 4000), st.integers(0, 4000))
def test_a_scan_gives_the_slice_and_the_hash_of_all(content, offset, limit):
    descriptor = os.memfd_create("x")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        size, digest, kept = scan(descriptor, offset, limit, 3000)
    finally:
        os.close(descriptor)
    assert (size, digest.decode()) == (len(content), hashlib.sha256(content).hexdigest())
    assert kept == content[offset : offset + limit]


@pytest.mark.parametrize(
    ("offset", "limit"), [(0, 3 * CHUNK), (CHUNK - 1, 2), (CHUNK, CHUNK), (10, 2 * CHUNK), (2 * CHUNK, 1)]
)
def test_slices_across_chunks(offset, limit):
    content = os.urandom(2 * CHUNK + 100)
    descriptor = os.memfd_create("x")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    assert scan(descriptor, offset, limit, 1 << 30)[2] == content[offset : offset + limit]
    os.close(descriptor)


def test_a_file_that_says_it_is_small_and_is_not():
    reader, writer = os.pipe()  # st_size is 0, as in /proc
    os.write(writer, bytes(5000))
    os.close(writer)
    with pytest.raises(RefusedError) as refused:
        scan(reader, 0, 10, 4999)
    assert refused.value.code == "file_too_large"
    os.close(reader)


def test_identify_tells_nothing_from_something_wrong():
    with place() as base:
        roots = Roots([WorkerRoot(os.fsencode(base), writable=False)])
        assert identify(roots, os.fsencode(base) + b"/none", 100) == b""
        assert identify(roots, os.fsencode(base) + b"/none/below", 100) == b""
        os.symlink("/etc/passwd", base + "/w/link")
        with pytest.raises(OSError):
            identify(roots, os.fsencode(base) + b"/w/link", 100)


def peak_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


@pytest.mark.live
def test_a_huge_file_is_hashed_without_being_held():
    async def run(base: str):
        async with started(Root(base)) as worker:
            before = peak_bytes(worker.process.pid)
            found = await worker.files.read(base + "/big", offset=(100 << 20) - 3, limit=10)
            assert (found.size, found.truncated, found.content) == (100 << 20, False, b"\0\0\0")
            assert found.sha256 == hashlib.sha256(bytes(100 << 20)).hexdigest()
            assert peak_bytes(worker.process.pid) - before < 4 << 20
            first = await worker.files.read(base + "/big", offset=0, limit=10)
            assert (first.truncated, first.content) == (True, bytes(10))

    with place() as base:
        with open(base + "/big", "wb") as file:
            file.truncate(100 << 20)
        asyncio.run(run(base))


@pytest.mark.live
def test_sizes_beyond_the_limits():
    async def run(base: str):
        async with started(Root(base), limits=WorkerLimits(file_bytes=1000, read_bytes=100)) as worker:
            with pytest.raises(Malformed) as refused:
                await worker.files.read(base + "/1001", offset=0, limit=1)
            assert refused.value.code == "file_too_large"
            whole = await worker.files.read(base + "/1000", offset=0, limit=1 << 40)
            assert (len(whole.content), whole.truncated, whole.size) == (100, True, 1000)
            beyond = await worker.files.read(base + "/1000", offset=5000, limit=10)
            assert (beyond.content, beyond.truncated) == (b"", False)

    with place() as base:
        for size in (1000, 1001):
            with open(f"{base}/{size}", "wb") as file:
                file.write(bytes(size))
        asyncio.run(run(base))


@pytest.mark.live
def test_names_of_any_bytes_the_kernel_takes():
    names = ["a\nb", "\x1b[2Jx", "é\u202e.md", "-rf", "*", "a" * 255, " "]

    async def run(base: str):
        async with started(Root(base), Root(base + "/w", writable=True)) as worker:
            for name in names:
                await worker.files.write(f"{base}/w/{name}", name.encode(), append=False)
            for name in names:
                assert (await worker.files.read(f"{base}/w/{name}", offset=0, limit=300)).content == name.encode()
            assert sorted(os.listdir(base + "/w")) == sorted(names)

    with place() as base:
        asyncio.run(run(base))


def naive_leaks(base: str, secret: bytes, tries: int) -> int:
    """Check, then open by the checked name: how often it gives the secret away."""
    leaks = 0
    for _ in range(tries):
        try:
            if not os.path.realpath(base + "/w/x").startswith(base):
                continue
            with open(base + "/w/x", "rb") as file:
                leaks += file.read() == secret
        except OSError:
            continue
    return leaks


@pytest.mark.live
def test_a_name_swapped_for_a_link_a_million_times_a_second_leaks_nothing():
    secret, own = b"the secret outside", b"own content"

    async def read_all(base: str) -> set[bytes | str]:
        seen: set[bytes | str] = set()
        async with started(Root(base), Root(base + "/w", writable=True)) as worker:
            for path in (base + "/w/x", base + "/w/d/file") * 1500:
                try:
                    seen.add((await worker.files.read(path, offset=0, limit=100)).content)
                except (Malformed, Unavailable) as refused:
                    seen.add(refused.code)
        return seen

    with place() as base, place() as outside:
        os.mkdir(base + "/w/d")
        for path, content in ((outside + "/file", secret), (base + "/w/x", own), (base + "/w/d/file", own)):
            with open(path, "wb") as file:
                file.write(content)
        os.symlink(outside + "/file", base + "/w/x2")
        os.symlink(outside, base + "/w/d2")
        with flipping(base + "/w/x", base + "/w/x2") as flips, flipping(base + "/w/d", base + "/w/d2"):
            seen = asyncio.run(read_all(base))
            leaks = 0
            for _ in range(50):
                leaks = leaks or naive_leaks(base, secret, 2000)
        assert leaks > 0, "the race did not bite: it proves nothing"
        assert flips.count > 1000
        assert own in seen
        assert "path_is_link" in seen
        assert seen <= {own, "path_is_link", "file_missing"}
