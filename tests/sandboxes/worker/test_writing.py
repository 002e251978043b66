from __future__ import annotations

import asyncio
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sandboxes.worker.started import can_unshare, on_tmpfs, place, started

from bascule.core.errors import Malformed, Unavailable
from bascule.sandboxes.hello import Root, WorkerLimits
from bascule.sandboxes.worker import writing
from bascule.sandboxes.worker.refusal import RefusedError, code_of
from bascule.sandboxes.worker.roots import Root as WorkerRoot
from bascule.sandboxes.worker.roots import Roots
from bascule.sandboxes.worker.writing import Writer, replace


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def content_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def base():
    old = os.umask(0)  # as in a worker
    with place() as path:
        yield path
    os.umask(old)


def writer(base: str, *single: str, file_bytes: int = 1 << 20, write_bytes: int = 1 << 20) -> Writer:
    roots = [WorkerRoot(os.fsencode(path), writable=True) for path in (base + "/w", *single)]
    return Writer(Roots([WorkerRoot(os.fsencode(base), writable=False), *roots]), file_bytes, write_bytes)


def write(base: str, name: str, content: bytes, *, append: bool = False, **limits: int) -> str:
    return writer(base, **limits).write(os.fsencode(f"{base}/w/{name}"), content, append=append).decode()


def test_new_replaced_and_appended(base):
    assert write(base, "new", b"one") == sha(b"one")
    assert write(base, "new", b"two") == sha(b"two")
    assert write(base, "new", b"!", append=True) == sha(b"two!")
    assert write(base, "other", b"first", append=True) == sha(b"first")
    assert content_of(base + "/w/new") == b"two!"
    assert sorted(os.listdir(base + "/w")) == ["new", "other"]
    assert os.stat(base + "/w/new").st_mode & 0o777 == 0o660


def test_empty_content(base):
    assert write(base, "x", b"") == sha(b"")
    assert write(base, "x", b"", append=True) == sha(b"")


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o4755])
def test_permission_bits_stay_and_setuid_does_not(base, mode):
    write(base, "x", b"one")
    os.chmod(base + "/w/x", mode)
    write(base, "x", b"two")
    assert os.stat(base + "/w/x").st_mode & 0o7777 == mode & 0o777
    writer(base).edit(os.fsencode(base + "/w/x"), b"two", b"three", sha(b"two").encode(), every=False)
    assert os.stat(base + "/w/x").st_mode & 0o7777 == mode & 0o777


def test_a_reader_of_the_old_file_keeps_the_old_content(base):
    write(base, "x", b"old")
    with open(base + "/w/x", "rb") as reader:
        write(base, "x", b"new")
        assert reader.read() == b"old"


def test_missing_directories_are_made(base):
    assert write(base, "a/b/c", b"x") == sha(b"x")
    assert content_of(base + "/w/a/b/c") == b"x"


def test_directories_made_for_a_write_that_fails_are_removed(base, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(OSError):
        write(base, "a/b/c", b"x")
    assert os.listdir(base + "/w") == []


TRAPS = {
    "link": (lambda at: os.symlink("/etc/hostname", at), "path_is_link"),
    "dangling link": (lambda at: os.symlink("nowhere", at), "path_is_link"),
    "hard link": (lambda at: os.link(os.path.dirname(at) + "/victim", at), "file_has_links"),
    "fifo": (os.mkfifo, "not_regular_file"),
    "directory": (os.mkdir, "path_is_directory"),
}


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("trap", TRAPS)
def test_what_is_no_plain_file_is_never_written(base, trap, append):
    build, code = TRAPS[trap]
    write(base, "victim", b"victim")
    build(base + "/w/x")
    before = os.lstat(base + "/w/x")
    with pytest.raises((RefusedError, OSError)) as refused:
        write(base, "x", b"bad", append=append)
    assert code_of(refused.value) == code
    after = os.lstat(base + "/w/x")
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    assert content_of(base + "/w/victim") == b"victim"
    assert sorted(os.listdir(base + "/w")) == ["victim", "x"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/x", "read_only"),
        ("/w", "path_is_directory"),
        ("/w/../x", "path_not_plain"),
        ("-x", "path_outside"),
        ("/w/" + "a" * 256, "path_not_plain"),
    ],
)
def test_places_that_are_never_written(base, path, code):
    with pytest.raises(RefusedError) as refused:
        writer(base).write(os.fsencode(base + path), b"x", append=False)
    assert refused.value.code == code
    assert os.listdir(base) == ["w"]


def test_sizes_beyond_the_limits(base):
    write(base, "x", b"12345", file_bytes=8)
    with pytest.raises(RefusedError) as refused:
        write(base, "x", b"6789", append=True, file_bytes=8)
    assert (refused.value.code, content_of(base + "/w/x")) == ("file_too_large", b"12345")
    with pytest.raises(RefusedError) as refused:
        writer(base, write_bytes=4).edit(os.fsencode(base + "/w/x"), b"1", b"2", sha(b"12345").encode(), every=False)
    assert refused.value.code == "file_too_large"


@given(st.binary(max_size=30), st.binary(max_size=3), st.binary(max_size=5))
def test_replacing_once_is_exact(content, old, new):
    places = [at for at in range(len(content)) if old and content.startswith(old, at)]
    if len(places) == 1:
        assert (
            replace(content, old, new, every=False, most=99)
            == content[: places[0]] + new + content[places[0] + len(old) :]
        )
    else:
        with pytest.raises(RefusedError) as refused:
            replace(content, old, new, every=False, most=99)
        assert refused.value.code == ("edit_not_unique" if places else "edit_no_match")


def test_replacing_every_occurrence():
    assert replace(b"aXbXc", b"X", b"--", every=True, most=9) == b"a--b--c"
    with pytest.raises(RefusedError):
        replace(b"abc", b"X", b"", every=True, most=9)


@pytest.mark.parametrize("every", [False, True])
def test_a_result_beyond_the_limit_is_never_built(every):
    assert replace(b"a", b"a", b"b" * 9, every=every, most=9) == b"b" * 9
    with pytest.raises(RefusedError) as refused:
        replace(b"a", b"a", b"b" * 10, every=every, most=9)
    assert refused.value.code == "file_too_large"
    with pytest.raises(RefusedError) as refused:
        replace(b"a" * (1 << 20), b"a", b"b" * (1 << 23), every=True, most=1 << 24)
    assert refused.value.code == "file_too_large"


def test_an_edit_of_a_changed_file_is_refused(base):
    write(base, "x", b"one two")
    with pytest.raises(RefusedError) as refused:
        writer(base).edit(os.fsencode(base + "/w/x"), b"one", b"1", sha(b"something else").encode(), every=False)
    assert (refused.value.code, content_of(base + "/w/x")) == ("file_changed", b"one two")


def test_a_file_changed_between_reading_and_renaming_is_not_overwritten(base, monkeypatch):
    write(base, "x", b"one")
    monkeypatch.setattr(writing.os, "fsync", lambda _: os.truncate(base + "/w/x", 1))
    with pytest.raises(RefusedError) as refused:
        writer(base).edit(os.fsencode(base + "/w/x"), b"one", b"two", sha(b"one").encode(), every=False)
    assert (refused.value.code, content_of(base + "/w/x")) == ("file_changed", b"o")
    assert os.listdir(base + "/w") == ["x"]


def test_a_single_granted_file_is_written_in_place(base):
    with open(base + "/granted", "wb") as file:
        file.write(b"0123456789")
    path, hand = os.fsencode(base + "/granted"), writer(base, base + "/granted")
    inode = os.stat(path).st_ino
    assert hand.write(path, b"short", append=False).decode() == sha(b"short")
    assert hand.write(path, b" more", append=True).decode() == sha(b"short more")
    assert hand.edit(path, b"short", b"a longer text", sha(b"short more").encode(), every=False).decode() == sha(
        b"a longer text more"
    )
    assert content_of(base + "/granted") == b"a longer text more"
    assert os.stat(path).st_ino == inode
    with pytest.raises(RefusedError) as refused:
        hand.write(os.fsencode(base + "/ungranted"), b"x", append=False)
    assert refused.value.code == "read_only"


@pytest.mark.live
@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process as another account")
def test_a_file_the_account_may_not_write_stays_though_it_owns_the_directory():
    agent = 1_912_345_678

    async def run(base: str) -> None:
        async with started(Root(base), Root(base + "/w", writable=True), uid=agent) as worker:
            for call in (
                worker.files.write(base + "/w/rules", b"mine", append=False),
                worker.files.write(base + "/w/rules", b"mine", append=True),
                worker.files.edit(base + "/w/rules", "r", "x", every=False, expected_sha256=sha(b"rules")),
                worker.files.read(base + "/w/secret", offset=0, limit=10),
            ):
                with pytest.raises(Unavailable) as refused:
                    await call
                assert refused.value.code == "file_denied"
            await worker.files.write(base + "/w/own", b"mine", append=False)
            assert os.stat(base + "/w/own").st_uid == agent

    with place() as base:
        os.chown(base + "/w", agent, agent)
        for name, mode in (("rules", 0o644), ("secret", 0o600)):
            with open(f"{base}/w/{name}", "wb") as file:
                file.write(b"rules")
            os.chmod(f"{base}/w/{name}", mode)
        asyncio.run(run(base))
        assert content_of(base + "/w/rules") == b"rules"


@pytest.mark.live
@pytest.mark.skipif(not can_unshare(), reason="no user namespaces here, so no tmpfs of our own")
def test_a_full_disk_leaves_everything_as_it_was():
    async def run(base: str) -> None:
        roots = (Root(base), Root(base + "/w", writable=True))
        async with started(*roots, prefix=on_tmpfs("64k", base + "/w")) as worker:
            files, path = worker.files, base + "/w/notes"
            await files.write(path, b"n" * 9000, append=False)
            before = await files.glob(base + "/w/*", limit=10)
            for call in (
                files.write(path, bytes(100_000), append=False),
                files.write(path, bytes(60_000), append=True),
                files.write(base + "/w/a/b/new", bytes(100_000), append=False),
                files.edit(path, "n", "N" * 10, every=True, expected_sha256=sha(b"n" * 9000)),
            ):
                with pytest.raises(Unavailable) as refused:
                    await call
                assert refused.value.code == "disk_full"
                assert await files.identify(path) == sha(b"n" * 9000)
                assert await files.glob(base + "/w/*", limit=10) == before
                assert await files.glob(base + "/w/.*", limit=10) == ()
            await files.write(path, b"smaller", append=False)
            assert (await files.read(path, offset=0, limit=100)).content == b"smaller"

    with place() as base:
        asyncio.run(run(base))


@pytest.mark.live
@pytest.mark.skipif(not can_unshare(), reason="no user namespaces here, so no tmpfs of our own")
def test_a_full_disk_under_a_single_granted_file():
    make = ("sh", "-c", 'printf %s 0123456789 > "$0" && exec "$@"')

    async def run(base: str) -> None:
        path = base + "/w/granted"
        prefix = (*on_tmpfs("64k", base + "/w"), *make, path)
        async with started(Root(path, writable=True), prefix=prefix) as worker:
            for append in (False, True):
                with pytest.raises(Unavailable) as refused:
                    await worker.files.write(path, bytes(100_000), append=append)
                assert refused.value.code == "disk_full"
                assert (await worker.files.read(path, offset=0, limit=100)).content == b"0123456789"

    with place() as base:
        asyncio.run(run(base))


@pytest.mark.live
def test_limits_and_refusals_cross_the_wire():
    async def run(base: str) -> None:
        limits = WorkerLimits(file_bytes=100, write_bytes=50)
        async with started(Root(base), Root(base + "/w", writable=True), limits=limits) as worker:
            for name, code, call in (
                ("too much at once", "file_too_large", worker.files.write(base + "/w/x", bytes(51), append=False)),
                ("a link", "path_is_link", worker.files.write(base + "/w/link", b"x", append=False)),
                (
                    "nothing there",
                    "edit_no_match",
                    worker.files.edit(base + "/w/f", "zz", "", every=False, expected_sha256=sha(b"aa")),
                ),
                (
                    "twice",
                    "edit_not_unique",
                    worker.files.edit(base + "/w/f", "a", "", every=False, expected_sha256=sha(b"aa")),
                ),
            ):
                with pytest.raises(Malformed) as refused:
                    await call
                assert (name, refused.value.code) == (name, code)

    with place() as base:
        os.symlink("f", base + "/w/link")
        with open(base + "/w/f", "w") as file:
            file.write("aa")
        asyncio.run(run(base))
