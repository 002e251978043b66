"""What macOS granted a program: rows of the TCC databases, and what it means that they can be read at all.

UNTESTED on a Mac. Stops a grant that a person clicked away long ago being forgotten. Does not see grants of a
management profile, nor which program macOS holds responsible for another; the names it prints are what the rows say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bascule.core.finding import Finding, Severity

UNTESTED = "untested: nobody has run this check on a Mac yet; compare it with System Settings, Privacy & Security"

SERVICES = {
    "kTCCServiceSystemPolicyAllFiles": "reads every file of every account (Full Disk Access)",
    "kTCCServiceAccessibility": "controls other programs",
    "kTCCServicePostEvent": "types and clicks in other programs",
    "kTCCServiceListenEvent": "reads every key that is pressed",
    "kTCCServiceScreenCapture": "reads the screen",
    "kTCCServiceAppleEvents": "commands other programs",
    "kTCCServiceDeveloperTool": "runs programs that no one signed",
    "kTCCServiceSystemPolicyDesktopFolder": "reads the desktop's files",
    "kTCCServiceSystemPolicyDocumentsFolder": "reads the documents",
    "kTCCServiceSystemPolicyDownloadsFolder": "reads the downloads",
    "kTCCServiceCalendar": "reads and changes calendars",
    "kTCCServiceReminders": "reads and changes reminders",
    "kTCCServiceAddressBook": "reads and changes contacts",
    "kTCCServicePhotos": "reads and changes photos",
    "kTCCServiceMicrophone": "hears the microphone",
    "kTCCServiceCamera": "sees through the camera",
}
"""Services by the names the databases use, as Apple's settings describe them."""

BEYOND = frozenset(
    f"kTCCService{name}"
    for name in ("SystemPolicyAllFiles", "Accessibility", "PostEvent", "ListenEvent", "ScreenCapture", "AppleEvents")
)
"""Services that reach beyond any box: they act on other programs, or read everything."""

_ALLOWED, _LIMITED = 2, 3
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Grant:
    """One row: a service, and the bundle or absolute path it was granted to."""

    service: str
    client: str
    is_path: bool
    limited: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """One database: ``readable`` says whether this program could open it, which takes Full Disk Access."""

    path: str
    readable: bool
    grants: tuple[Grant, ...] = ()
    odd_rows: int = 0


def parse(untrusted_rows: Iterable[tuple[object, ...]]) -> tuple[tuple[Grant, ...], int]:
    """Return the grants among rows of ``service, client, client_type, auth_value``, and how many rows are none.

    A row that denies is no grant and not odd.
    """
    grants, odd = [], 0
    for row in untrusted_rows:
        match row:
            case (str(service), str(client), int(kind), int(value)) if kind in {0, 1} and len(client) <= _LONGEST:
                if value in {_ALLOWED, _LIMITED}:
                    grants.append(Grant(service[:_LONGEST], client, kind == 1, value == _LIMITED))
            case _:
                odd += 1
    del untrusted_rows
    return tuple(grants), odd


def examine(databases: Iterable[Seen], programs: Iterable[str]) -> tuple[Finding, ...]:
    """Return what there is to say about what macOS granted the programs a home runs in.

    Args:
        databases: the system's and the person's.
        programs: absolute paths of the Python and the terminal, or bundle names.
    """
    ours = frozenset(programs)
    return tuple(finding for seen in databases for finding in _of(seen, ours))


def _of(seen: Seen, ours: frozenset[str]) -> Iterator[Finding]:
    if not seen.readable:
        detail = (
            f"{seen.path} cannot be opened, as is right: this program has no Full Disk Access. "
            "So what else macOS granted it is not known"
        )
        yield Finding("mac.unseen", Severity.INFO, detail, "look in System Settings, Privacy & Security")
        return
    detail = (
        f"{seen.path} can be opened: this program has Full Disk Access, and so has all that it starts outside a box"
    )
    yield Finding("mac.full_disk", Severity.CRITICAL, detail, "take it away in System Settings, Full Disk Access")
    for grant in seen.grants:
        if grant.client not in ours:
            continue
        what = SERVICES.get(grant.service, "is a service this version does not know")
        grave = Severity.CRITICAL if grant.service in BEYOND or grant.service not in SERVICES else Severity.WARN
        part = ", in part" if grant.limited else ""
        yield Finding(
            "mac.grant",
            grave,
            f"{grant.client} was granted {grant.service}{part}: it {what}",
            "take it away in System Settings, Privacy & Security",
        )
    if seen.odd_rows:
        yield Finding("mac.unread", Severity.WARN, f"{seen.odd_rows} rows of {seen.path} could not be read", "")
