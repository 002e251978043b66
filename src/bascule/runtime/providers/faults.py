"""HTTP failures of model services, in one line each.

Stops: a key, a request or a page of HTML from a service's error reaching the screen; a service being asked again for
what asking again cannot mend. Does not stop: a service from naming a reason that is not the true one.
"""

from __future__ import annotations

from bascule.runtime.providers.port import Fault
from bascule.runtime.results import one_line

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses after which the same request may succeed: time-outs, conflicts, limits and a service's own failures."""

_MEANING = {
    400: ("model_request_refused", "the model service refused the request", "see the message; try another model"),
    401: ("model_key_refused", "the model service refused the key", "check the key's environment variable"),
    402: ("model_quota", "the model service wants payment", "check the account's balance"),
    403: ("model_key_refused", "the model service does not let this key use this model", "check the key and the model"),
    404: ("model_unknown", "the model service does not know this model or address", "check the model's name"),
    413: ("model_context_full", "the conversation is too long for this model", "begin anew: bascule sessions reset"),
    429: ("model_rate_limited", "the model service says: too many requests", "wait, then try again"),
    529: ("model_overloaded", "the model service is overloaded", "wait, then try again"),
}


def of_status(model: str, status: int, detail: str, wait: float | None) -> Fault:
    """Return the fault of an HTTP answer.

    Args:
        model: ``provider:model``.
        status: HTTP status, 400 to 599.
        detail: what the service said, cut to one line here.
        wait: seconds it wants between attempts, None if it did not say.
    """
    fallback = ("model_down", "the model service failed", "wait, then try again")
    if 400 <= status < 500:
        fallback = _MEANING[400]
    code, meaning, remedy = _MEANING.get(status, fallback)
    said = one_line(detail, 160)
    message = f"{model}: {meaning} (HTTP {status}{': ' + said if said else ''})"
    return Fault(code, message, remedy, again=status in TRANSIENT, wait=wait)


def unreachable(model: str, detail: str) -> Fault:
    """Return the fault of a connection that failed, broke or timed out."""
    said = one_line(detail, 160)
    return Fault(
        "model_unreachable",
        f"{model}: the model service cannot be reached{': ' + said if said else ''}",
        "check the network and the address",
        again=True,
    )
