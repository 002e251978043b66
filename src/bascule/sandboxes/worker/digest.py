"""SHA-256 by Python's own module where there is one.

OpenSSL's, which ``hashlib`` prefers, is ten times faster on long files but would cost every worker three megabytes
of memory and a slower start; most files are short.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256  # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
