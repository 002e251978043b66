"""Which answers over HTTP need a passkey besides a token or a signed-in browser. Pure.

Stops: a copied cookie or token saying yes to what cannot be taken back. Does not stop a no, which is never harder than
a yes; nor an answer from the machine's own shell or over Signal, which have proofs of their own.
"""

from __future__ import annotations

from bascule.core.toolspec import ActionClass

HARMLESS = frozenset({ActionClass.READ, ActionClass.MEMORY, ActionClass.COMPUTE})
"""Classes whose effects stay with the agent; every other yes is risky."""


def is_risky(action: str, *, wider: bool) -> bool:
    """True for a yes of any other class (an unknown one too), and for every yes to more than one call."""
    return wider or action not in HARMLESS


def wants_passkey(passkey: str, action: str, *, wider: bool) -> bool:
    """True if a yes needs a passkey.

    Args:
        passkey: ``Policy.passkey``; what is neither ``off`` nor ``risky`` means always.
        action: worst action class in the call.
        wider: the yes is a grant.
    """
    if passkey == "off":
        return False
    return passkey != "risky" or is_risky(action, wider=wider)
