"""Reading one policy file as bytes.

Stops: a policy file that is a link, a device, too large, or writable by somebody who is not its owner being believed.
Does not stop: its owner from changing it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from bascule.core.errors import Tampered, Unavailable

MAX_BYTES = 4 << 20
"""Bytes of a policy file; a real one has some tens of thousands."""


def read_policy_file(path: Path) -> bytes | None:
    """Return a policy file's bytes, None if there is none.

    Raises:
        Unavailable: it cannot be read, or is larger than 4 MiB.
        Tampered: it is a link or no plain file, or its group or everybody may write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise Unavailable("policy_unreadable", f"{path} may not be read", f"run: chmod 644 {path}") from None
    except OSError as error:
        what = "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be opened: {error.strerror}"
        raise Tampered("policy_file_unsafe", f"{path} {what}", "make it a plain file") from None
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise Tampered("policy_file_unsafe", f"{path} is not a plain file", "make it one")
        if seen.st_mode & 0o022:
            raise Tampered(
                "policy_file_unsafe", f"{path} may be written by others than its owner", f"run: chmod go-w {path}"
            )
        if seen.st_size > MAX_BYTES:
            raise Unavailable("policy_unreadable", f"{path} is larger than {MAX_BYTES} bytes")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
