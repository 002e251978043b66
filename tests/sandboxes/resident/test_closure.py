"""Shared libraries by reading ELF files."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Unavailable
from bascule.sandboxes.resident.closure import Closures, both_names, configured_directories, read_dynamic


@pytest.mark.parametrize("name", ["grep", "find", "cat", "env", "tar", "python3"])
def test_agrees_with_the_loader(name: str) -> None:
    program = os.path.realpath(f"/usr/bin/{name}")
    said = subprocess.run(["/usr/bin/ldd", program], capture_output=True, text=True, check=True).stdout
    wanted = {os.path.realpath(path) for path in re.findall(r"(/\S+) \(", said)}
    found = {os.path.realpath(path) for path in Closures(configured_directories()).of(program)}
    assert found == wanted


def test_script_and_text_need_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert Closures().of(str(script)) == ()


def test_missing_file_and_missing_library_are_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as missing:
        Closures().of(str(tmp_path / "none"))
    assert missing.value.code == "program_missing"
    program = tmp_path / "program"
    content = Path(os.path.realpath("/usr/bin/env")).read_bytes()
    program.write_bytes(content.replace(b"libc.so.6", b"libq.so.6"))
    with pytest.raises(Unavailable) as library:
        Closures().of(str(program))
    assert library.value.code == "program_library_missing"


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    closures = Closures(configured_directories())
    program = tmp_path / "program"
    program.write_text("text")
    assert closures.of(str(program)) == ()
    program.write_bytes(Path(os.path.realpath("/usr/bin/env")).read_bytes())
    assert closures.of(str(program)) != ()


def test_names_of_a_file_reached_through_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    (real).mkdir()
    link.symlink_to(real)
    (real / "one").write_text("")
    (real / "two").symlink_to("one")
    assert both_names(f"{link}/two") == (f"{real.resolve()}/one", f"{real.resolve()}/two")


def outcome(content: bytes) -> str:
    """What reading comes to: nothing but a refusal may come of nonsense."""
    try:
        read_dynamic(lambda offset, size: content[offset : offset + size])
    except Unavailable as refused:
        return refused.code
    return "read"


@given(st.binary(max_size=400))
def test_broken_headers_are_refused_or_mean_nothing(tail: bytes) -> None:
    content = b"\x7fELF\x02\x01" + tail
    assert outcome(content) in {"read", "program_elf"}


@given(st.data())
def test_damaged_program_is_refused_or_reads(data: st.DataObject) -> None:
    content = bytearray(Path(os.path.realpath("/usr/bin/env")).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(6, 1200))] = data.draw(st.integers(0, 255))
    assert outcome(bytes(content)) in {"read", "program_elf"}


def test_other_word_sizes_are_refused() -> None:
    header = b"\x7fELF\x01\x01" + struct.pack("<58x")
    with pytest.raises(Unavailable):
        read_dynamic(lambda offset, size: header[offset : offset + size])


def test_loader_configuration_is_followed(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.conf").write_text("/opt/a # why\n\n/opt/b\n")
    (tmp_path / "ld.so.conf").write_text(f"include {tmp_path}/more/*.conf\n/opt/c\nrelative\n")
    assert configured_directories(str(tmp_path / "ld.so.conf")) == ("/opt/a", "/opt/b", "/opt/c")
    assert configured_directories(str(tmp_path / "none")) == ()
