import errno

import pytest

from bascule.sandboxes.files import MALFORMED, UNAVAILABLE
from bascule.sandboxes.worker.refusal import CODES, RefusedError, code_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("file_changed"), "file_changed"),
        (OSError(errno.ENOSPC, ""), "disk_full"),
        (OSError(errno.EDQUOT, ""), "disk_full"),
        (OSError(errno.EIO, ""), "disk_error"),
        (OSError(errno.ELOOP, ""), "path_is_link"),
        (OSError(errno.EXDEV, ""), "path_outside"),
        (OSError(errno.EROFS, ""), "read_only"),
        (OSError(errno.EEXIST, ""), "file_error"),
        (OSError("no number"), "file_error"),
        (MemoryError(), "worker_exhausted"),
        (ZeroDivisionError(), "worker_fault"),
        (RecursionError(), "worker_fault"),
    ],
)
def test_codes(error, code):
    assert code_of(error) == code


def test_the_gateway_has_a_sentence_for_every_code():
    assert set(CODES.values()) <= set(MALFORMED) | set(UNAVAILABLE)
    assert not set(MALFORMED) & set(UNAVAILABLE)
