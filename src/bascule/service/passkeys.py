"""What a page asks of passkeys: the second half of the port, for surfaces that a person looks at.

Stops: a surface deciding by itself that a passkey was used; it carries options and answers, and the service refuses a
yes that needed one. Does not say how they are checked: see ``tokens/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bascule.core.canonical import Json
from bascule.service.port import Principal, Wider
from bascule.service.shapes import PasskeyRow


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The site a passkey belongs to, as the browser sees it; the surface takes both from a request it has checked.

    Attributes:
        id: the host's name, without a port; an address has no passkeys.
        origin: ``scheme://host[:port]``, HTTPS unless the host is ``localhost``.
    """

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Yes:
    """One yes, as a passkey signs for it.

    Attributes:
        approval: the question's id, ``apr_…``.
        digest: of the call it is about, as it was shown.
        wider: terms of a grant, exactly those of the answer; None for a yes to this call alone.
    """

    approval: str
    digest: str
    wider: Wider | None = None


class Passkeys(Protocol):
    """Passkeys (WebAuthn) of those who sign in with a browser, and the yes that needs one.

    A page that answers calls :meth:`begin_approval`, hands the options to ``navigator.credentials.get``, then
    :meth:`finish_approval` with what it returned (``PublicKeyCredential.toJSON()`` as text), then answers as ever: the
    service refuses the answer (``passkey_needed``) without a passkey used in this browser for this very answer.
    All but :meth:`needed` raise ``NotPermitted``: ``passkey_browser``, unless the caller signed in with a browser and
    may approve.
    """

    def needed(self, principal: Principal, *, action: str, wider: bool) -> bool:
        """True if policy wants a passkey for a yes to a call of this class; never for a no."""

    async def begin_registration(self, principal: Principal, party: RelyingParty) -> dict[str, Json]:
        """Return options for ``navigator.credentials.create``, as JSON (``parseCreationOptionsFromJSON``).

        Raises:
            NotPermitted: ``passkey_stale``: only a browser that signed in within ten minutes registers one: by a link
                the machine's operator's, by a person's token that the machine's own shell made their first.
            Unavailable: ``passkey_host``, ``passkeys_full``.
        """

    async def finish_registration(
        self, principal: Principal, party: RelyingParty, *, name: str, untrusted_response: str
    ) -> PasskeyRow:
        """Keep the passkey that the browser made; at most two minutes after the beginning, and once.

        Raises:
            Malformed: ``passkey_name``.
            NotPermitted: ``passkey_refused``, or as :meth:`begin_registration`.
        """

    async def begin_approval(self, principal: Principal, party: RelyingParty, yes: Yes) -> dict[str, Json]:
        """Return options for ``navigator.credentials.get``, bound to one question as it was shown and to one answer.

        Raises:
            NotPermitted: ``passkey_missing``: they have none for this site.
            Unavailable: ``passkey_host``.
        """

    async def finish_approval(
        self, principal: Principal, party: RelyingParty, yes: Yes, *, untrusted_response: str
    ) -> None:
        """Check what the passkey signed; that very answer may follow from this browser, once, within two minutes.

        Raises:
            NotPermitted: ``passkey_refused``, whatever the reason.
        """

    async def passkeys_list(self, principal: Principal) -> list[PasskeyRow]:
        """Return their own passkeys, oldest first; to the machine's operator everybody's."""

    async def passkeys_remove(self, principal: Principal, *, passkey: str) -> PasskeyRow:
        """Forget a passkey of :meth:`passkeys_list`.

        Raises:
            Malformed: ``passkey_unknown``.
        """
