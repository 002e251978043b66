"""Passkeys on the pages: registering one, removing one, and the proof that a risky yes takes.

Stops: a proof for another answer than the one that follows: what is signed for is read from the very fields that the
answer is then given with. Whether a yes needs a proof, and whether it is one, is decided by the gateway; a page that
forgot to ask would only be refused.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from bascule.channels.dashboard.forms import Form
from bascule.channels.dashboard.questions import wider_of
from bascule.channels.dashboard.views import moment
from bascule.channels.dashboard.visit import Handler, Visit
from bascule.channels.web.answers import AsciiResponse
from bascule.channels.web.identity import arrival_of
from bascule.core.errors import Unavailable
from bascule.service.passkeys import Passkeys, RelyingParty, Yes

LONGEST_RESPONSE: Final = 32_768
"""Characters of what a browser's authenticator answers; one with an RSA key takes about 2000."""


def party_of(visit: Visit) -> RelyingParty:
    """Return the site the browser believes to be on, as the doorway has checked it."""
    origin = arrival_of(visit.request).origin
    return RelyingParty(origin.host, str(origin))


def _passkeys(visit: Visit) -> Passkeys:
    if visit.passkeys is None:
        raise Unavailable("passkey_host", "this gateway keeps no passkeys")
    return visit.passkeys


def is_possible(party: RelyingParty) -> bool:
    """True if a browser would use a passkey on this site: a name, by HTTPS or on the machine itself."""
    named = not (party.id.replace(".", "").isdigit() or ":" in party.id)
    return named and (party.origin.startswith("https://") or party.id == "localhost")


async def page(visit: Visit) -> Response:
    """Return one's passkeys."""
    party = party_of(visit)
    rows = await _passkeys(visit).passkeys_list(visit.principal)
    timed = [(row, moment(row["created"], visit.now), moment(row["last_used"], visit.now)) for row in rows]
    possible, port = is_possible(party), arrival_of(visit.request).origin.port
    return await visit.page("passkeys.html", "passkeys", "Passkeys", keys=timed, possible=possible, port=port)


async def begin_registration(visit: Visit) -> Response:
    """Return what the browser's authenticator is asked to make."""
    await visit.form()
    return AsciiResponse(await _passkeys(visit).begin_registration(visit.principal, party_of(visit)))


async def finish_registration(visit: Visit) -> Response:
    """Keep what it made."""
    form = await visit.form()
    row = await _passkeys(visit).finish_registration(
        visit.principal,
        party_of(visit),
        name=form.one("name"),
        untrusted_response=form.one("response", longest=LONGEST_RESPONSE),
    )
    return AsciiResponse({"id": row["id"]})


async def remove(visit: Visit) -> Response:
    """Forget a passkey."""
    await _passkeys(visit).passkeys_remove(visit.principal, passkey=visit.named("passkey"))
    return visit.go("/passkeys")


def _yes(visit: Visit, form: Form) -> Yes:
    wider = wider_of(form) if form.every("extent") else None
    return Yes(visit.named("ref"), form.one("digest"), wider)


async def begin_yes(visit: Visit) -> Response:
    """Return what the browser's authenticator is asked to sign for one yes."""
    form = await visit.form()
    return AsciiResponse(await _passkeys(visit).begin_approval(visit.principal, party_of(visit), _yes(visit, form)))


async def finish_yes(visit: Visit) -> Response:
    """Check what it signed; that very yes may follow."""
    form = await visit.form()
    response = form.one("response", longest=LONGEST_RESPONSE)
    yes = _yes(visit, form)
    await _passkeys(visit).finish_approval(visit.principal, party_of(visit), yes, untrusted_response=response)
    return AsciiResponse({"proved": yes.approval})


BUTTONS: Final[tuple[tuple[str, Handler, tuple[str, ...]], ...]] = (
    ("/passkeys/begin", begin_registration, ("approve",)),
    ("/passkeys/finish", finish_registration, ("approve",)),
    ("/passkeys/{passkey}/remove", remove, ("approve",)),
    ("/approvals/{ref}/begin", begin_yes, ("approve",)),
    ("/approvals/{ref}/finish", finish_yes, ("approve",)),
)
"""What can be done with passkeys, and the scope it takes."""
