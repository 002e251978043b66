"""Looking at macOS's TCC databases; on any other system there is nothing to look at.

UNTESTED on a Mac. Stops the look changing what it looks at: the databases are opened read-only and as they stand.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from urllib.parse import quote

from bascule.checkup.tcc import Seen, examine, parse
from bascule.core.finding import Finding

DATABASE = "Library/Application Support/com.apple.TCC/TCC.db"

_MOST_ROWS = 10_000


def look(home: Path) -> tuple[Finding, ...]:
    """Return what macOS granted the Python that runs this.

    Args:
        home: the person's home directory.
    """
    databases = [open_database(folder / DATABASE) for folder in (Path("/"), home)]
    return examine(databases, {sys.executable, str(Path(sys.executable).resolve())})


def open_database(path: Path) -> Seen:
    """Return what one database says; that it cannot be opened is an answer too."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error:
        return Seen(str(path), readable=False)
    try:
        rows = connection.execute("SELECT service, client, client_type, auth_value FROM access").fetchmany(_MOST_ROWS)
    except sqlite3.OperationalError as error:
        # A file that may be opened and has another shape is no proof that it may not.
        return Seen(str(path), readable="unable to open" not in str(error) and "denied" not in str(error), odd_rows=1)
    except sqlite3.DatabaseError:
        return Seen(str(path), readable=True, odd_rows=1)
    finally:
        connection.close()
    grants, odd = parse(rows)
    return Seen(str(path), readable=True, grants=grants, odd_rows=odd)
