from __future__ import annotations

import os
import socket

import pytest
from tests.sandboxes.worker.started import place

from bascule.sandboxes.worker.refusal import RefusedError, code_of
from bascule.sandboxes.worker.roots import Root, Roots, parts_of

SECRET = b"the secret outside"


@pytest.mark.parametrize(
    "path",
    [b"", b"a", b"./a", b"/a/../b", b"/..", b"/.", b"/a//b", b"/a/", b"//a", b"/a\0b", b"/" + b"a" * 256, b"/a" * 2048],
)
def test_paths_that_are_not_plain(path):
    with pytest.raises(RefusedError) as refused:
        parts_of(path)
    assert refused.value.code == "path_not_plain"


def test_plain_paths():
    assert parts_of(b"/") == []
    assert parts_of(b"/a/b\n\x1b\xff/" + b"c" * 255) == [b"a", b"b\n\x1b\xff", b"c" * 255]


@pytest.fixture
def base():
    with place() as path:
        for name in ("w/file", "ro", "granted"):
            with open(f"{path}/{name}", "wb") as file:
                file.write(b"content")
        with open(path + "-secret", "wb") as file:
            file.write(SECRET)
        yield path
        os.unlink(path + "-secret")


def roots_of(base: str) -> Roots:
    path = os.fsencode(base)
    return Roots([Root(path, writable=False), Root(path + b"/w", writable=True)])


def reach(base: str, path: str) -> bytes | str:
    """The first bytes of a file opened through the roots, or the code of the refusal."""
    try:
        descriptor = roots_of(base).open_regular(os.fsencode(path), os.O_RDONLY)
    except Exception as error:
        return code_of(error)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def test_regular_files_open(base):
    assert reach(base, base + "/w/file") == b"content"
    assert reach(base, base + "/ro") == b"content"


def soft(target):
    return lambda base: os.symlink(target.replace("BASE", base), base + "/w/x")


def soft_directory(base):
    os.symlink(os.path.dirname(base), base + "/w/x")


def listening(base):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(base + "/w/x")


ATTACKS = {
    "link to a file outside": (soft("BASE-secret"), "w/x", "path_is_link"),
    "relative link outside": (soft("../../x"), "w/x", "path_is_link"),
    "link to a file inside": (soft("file"), "w/x", "path_is_link"),
    "link to itself": (soft("x"), "w/x", "path_is_link"),
    "link in between": (soft_directory, "w/x/bascule-secret", "path_is_link"),
    "magic link": (soft("/proc/self/root"), "w/x/etc/passwd", "path_is_link"),
    "hard link": (lambda base: os.link(base + "-secret", base + "/w/x"), "w/x", "file_has_links"),
    "fifo": (lambda base: os.mkfifo(base + "/w/x"), "w/x", "not_regular_file"),
    "socket": (listening, "w/x", "not_regular_file"),
    "directory": (lambda base: os.mkdir(base + "/w/x"), "w/x", "path_is_directory"),
    "missing": (lambda base: None, "w/x", "file_missing"),
    "below a file": (lambda base: None, "w/file/x", "file_missing"),
    "dots": (lambda base: None, "w/../../secret", "path_not_plain"),
    "the root itself": (lambda base: None, "w", "path_is_directory"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_stands_in_for_a_file_is_refused(base, name):
    build, path, code = ATTACKS[name]
    build(base)
    assert reach(base, f"{base}/{path}") == code


def test_paths_below_no_root(base):
    assert reach(base, base + "-secret") == "path_outside"
    assert reach(base, "/etc/passwd") == "path_outside"
    assert reach(base, "/") == "path_outside"


def test_devices_are_refused():
    with pytest.raises(RefusedError) as refused:
        Roots([Root(b"/dev", writable=False)]).open_regular(b"/dev/null", os.O_RDONLY)
    assert refused.value.code == "not_regular_file"


def test_the_longest_root_decides(base):
    roots = roots_of(base)
    assert [roots.locate(os.fsencode(base + path))[0].writable for path in ("/ro", "/w/file", "/w", "/wide")] == [
        False,
        True,
        True,
        False,
    ]


def test_a_single_file_as_root(base):
    roots = Roots([Root(os.fsencode(base + "/granted"), writable=True)])
    os.close(roots.open_regular(os.fsencode(base + "/granted"), os.O_RDONLY))
    for path, code in (("/granted/x", "file_missing"), ("/ro", "path_outside"), ("/granted2", "path_outside")):
        with pytest.raises(RefusedError) as refused:
            roots.open_regular(os.fsencode(base + path), os.O_RDONLY)
        assert refused.value.code == code


def test_a_root_that_is_or_passes_a_link_is_no_root(base):
    os.symlink(base, base + "/w/link")
    for path in ("/w/link", "/w/link/w"):
        with pytest.raises(OSError) as refused:
            Root(os.fsencode(base + path), writable=False)
        assert code_of(refused.value) == "path_is_link"


def test_parents_are_made_but_not_through_links(base):
    roots, made = roots_of(base), []
    directory, name = roots.open_parent(os.fsencode(base + "/w/a/b/c"), made)
    os.close(directory)
    assert (name, [entry[1] for entry in made]) == (b"c", [b"a", b"b"])
    assert os.stat(base + "/w/a/b").st_mode & 0o007 == 0
    os.symlink(os.path.dirname(base), base + "/w/out")
    with pytest.raises(OSError) as refused:
        roots.open_parent(os.fsencode(base + "/w/out/new/file"), made)
    assert code_of(refused.value) == "path_is_link"
    assert len(made) == 2
    for descriptor, _ in made:
        os.close(descriptor)
