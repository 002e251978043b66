"""Reading an agent's prompt files, which belong to the operator.

Stops: a prompt that is a link, a device or a flood. Prompt files lie outside what any agent can write; a file below
the agent's own directory is never read here but through its file worker.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from bascule.core.errors import Unavailable

MAX_PROMPT = 256 << 10
"""Bytes of one prompt file; more would leave a model no room for the conversation."""


def read_prompts(paths: Iterable[str]) -> str:
    """Return the files' texts, in order, joined by blank lines; a file that does not exist is passed over.

    Raises:
        Unavailable: ``prompt_unreadable``.
    """
    texts = [text for path in paths if (text := _read(path)) is not None]
    return "\n\n".join(text.strip() for text in texts if text.strip())


def _read(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refuse(path, error.strerror or "cannot be opened") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refuse(path, "it is not a plain file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAX_PROMPT + 1)
    if len(content) > MAX_PROMPT:
        raise _refuse(path, f"it is larger than {MAX_PROMPT} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _refuse(path, "it is not UTF-8") from None


def _refuse(path: str, why: str) -> Unavailable:
    return Unavailable("prompt_unreadable", f"the prompt {path} cannot be read: {why}", "mend it, or leave it out")
