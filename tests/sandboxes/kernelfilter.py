"""The filters a process is under, as the kernel has them (``PTRACE_SECCOMP_GET_FILTER``, ``ptrace(2)``), and what they do.

Needs root outside every user namespace and a kernel built with ``CONFIG_CHECKPOINT_RESTORE``, as Debian's are.
"""

from __future__ import annotations

import ctypes
import os
import struct

_SEIZE, _INTERRUPT, _DETACH, _GET_FILTER = 0x4206, 0x4207, 17, 0x420C
_WALL = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.restype = ctypes.c_long
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
ALLOW, LOG = 0x7FFF0000, 0x7FFC0000


def filters_of(pid: int) -> list[bytes]:
    """The programs of a process, the latest first."""
    _traced(_SEIZE, pid)
    try:
        _traced(_INTERRUPT, pid)
        os.waitpid(pid, _WALL)
        found: list[bytes] = []
        while (count := _LIBC.ptrace(_GET_FILTER, pid, len(found), None)) >= 0:
            buffer = ctypes.create_string_buffer(count * 8)
            _traced(_GET_FILTER, pid, len(found), buffer)
            found.append(buffer.raw)
        return found
    finally:
        _traced(_DETACH, pid)


def _traced(request: int, pid: int, address: int | None = None, data: object = None) -> None:
    if _LIBC.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def lets_through(program: bytes, number: int, audit: int, *arguments: int) -> bool:
    """Run a filter on one system call, with what libseccomp makes of classic BPF."""
    data = struct.pack("<iIQ6Q", number, audit, 0, *[*arguments, 0, 0, 0, 0, 0, 0][:6])
    accumulator, at = 0, 0
    while True:
        code, when_true, when_false, value = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case 0x05:
                at += value
            case 0x54:
                accumulator &= value
            case 0x15 | 0x25 | 0x35 | 0x45:
                holds = {
                    0x15: accumulator == value,
                    0x25: accumulator > value,
                    0x35: accumulator >= value,
                    0x45: bool(accumulator & value),
                }[code]
                at += when_true if holds else when_false
            case 0x06:
                return value in {ALLOW, LOG}
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")
