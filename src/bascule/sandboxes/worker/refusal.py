"""Why a worker refuses: short stable codes, and the kernel's error numbers translated into them.

Stops: error text that an agent could influence reaching a person. Only codes cross to the gateway, which knows the
sentences. Does not stop: a wrong code from a subverted worker; the gateway accepts only codes it knows.
"""

from __future__ import annotations

import errno

CODES = {
    errno.ENOENT: "file_missing",
    errno.ENOTDIR: "file_missing",
    errno.ELOOP: "path_is_link",
    errno.EXDEV: "path_outside",
    errno.EISDIR: "path_is_directory",
    errno.ENXIO: "not_regular_file",
    errno.ENODEV: "not_regular_file",
    errno.ENAMETOOLONG: "path_not_plain",
    errno.EINVAL: "path_not_plain",
    errno.EACCES: "file_denied",
    errno.EPERM: "file_denied",
    errno.EROFS: "read_only",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "file_too_large",
    errno.EIO: "disk_error",
    errno.EAGAIN: "file_busy",
    errno.ETXTBSY: "file_busy",
    errno.EMFILE: "worker_exhausted",
    errno.ENFILE: "worker_exhausted",
    errno.ENOMEM: "worker_exhausted",
}
"""What each error number means for one file operation."""


class RefusedError(Exception):
    """One operation is refused; ``code`` says why, and nothing was changed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def code_of(error: Exception) -> str:
    """Return the code for whatever an operation raised; an unforeseen error is ``worker_fault``."""
    if isinstance(error, RefusedError):
        return error.code
    if isinstance(error, MemoryError):
        return "worker_exhausted"
    if isinstance(error, OSError):
        return CODES.get(error.errno or 0, "file_error")
    return "worker_fault"
