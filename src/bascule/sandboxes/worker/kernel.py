"""System calls by number, and memory to point them at, without ``ctypes``.

Stops nothing by itself: what is asked of the kernel is decided by the callers. Speaks to the extension module that
``ctypes`` itself is made of: importing the package costs every worker half a megabyte and some milliseconds, far more
in an image whose library nobody compiled. The names used here are those the package imports, on Python 3.11 to 3.13.
"""

from __future__ import annotations

import os
from _ctypes import FUNCFLAG_CDECL, FUNCFLAG_USE_ERRNO, CFuncPtr, _SimpleCData, addressof, dlopen, dlsym, get_errno

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

    _Number = _SimpleCData[int]
    _Bytes = _SimpleCData[bytes]
else:  # the class itself takes no parameter
    _Number = _Bytes = _SimpleCData


class _Long(_Number):
    """C's ``long``."""

    _type_ = "l"


class _Text(_Bytes):
    """A pointer to bytes that are only read."""

    _type_ = "z"


class _Byte(_Bytes):
    """C's ``char``."""

    _type_ = "c"


class _OnNumbers(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = _Long
    _argtypes_ = (_Long,) * 6


class _OnText(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = _Long
    _argtypes_ = (_Long, _Long, _Text, _Text, _Long)


_SELF: int = dlopen(None, os.RTLD_NOW)  # type: ignore[arg-type] # typeshed leaves out None, which is this process
_call = _OnNumbers(dlsym(_SELF, "syscall"))
_call_on_text = _OnText(dlsym(_SELF, "syscall"))


def function(name: str) -> Callable[..., int]:
    """Return a function of the C library that takes up to six whole numbers, and returns one.

    Raises:
        OSError: there is none of this name.
    """
    found = _OnNumbers(dlsym(_SELF, name))
    return lambda *arguments: int(found(*(*arguments, 0, 0, 0, 0, 0, 0)[:6]))


_prctl = function("prctl")
_signal = function("signal")


def call(number: int, *arguments: int) -> int:
    """Make a system call of up to five arguments; below zero is a failure, whose reason :func:`failure` tells."""
    padded = (*arguments, 0, 0, 0, 0, 0)[:5]
    found: int = _call(number, *padded)
    return found


def call_on_text(number: int, first: int, second: bytes, third: bytes, fourth: int) -> int:
    """Make a system call whose second and third argument point to bytes; otherwise as :func:`call`."""
    found: int = _call_on_text(number, first, second, third, fourth)
    return found


def prctl(option: int, first: int = 0) -> int:
    """Call ``prctl(2)``, whose number differs between architectures, with its unused arguments 0."""
    return _prctl(option, first)


def ignore(signal_number: int) -> None:
    """Ignore a signal, without the module that makes an enumeration of them all."""
    _signal(signal_number, 1)


def failure() -> OSError:
    """Return the reason of this thread's last failure."""
    number = get_errno()
    return OSError(number, os.strerror(number))


def checked(result: int) -> int:
    """Return a result that is none below zero.

    Raises:
        OSError: as the kernel said.
    """
    if result < 0:
        raise failure()
    return result


class Memory:
    """A copy of some bytes at an address, for as long as this object lives."""

    __slots__ = ("_held", "address")

    def __init__(self, content: bytes) -> None:
        """Copy ``content``, which is not empty."""
        self._held = (_Byte * len(content)).from_buffer_copy(content)
        self.address = addressof(self._held)
