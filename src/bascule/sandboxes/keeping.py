"""How long a box is kept: the one rule for containers and warm file workers.

Stops: a box that nobody uses any more holding memory, and one growing old with whatever crept into it. Decides by
values, the time included. A box in use is the backend's to spare.
"""

from __future__ import annotations

from bascule.core.policy import DockerPolicy


def is_due(rules: DockerPolicy, made: float, used: float, now: float) -> bool:
    """Return True if a box is kept no longer.

    Args:
        rules: how long, in seconds unused and in seconds of age; 0 is for ever.
        made: when it was made, in seconds of any clock.
        used: when it was last used, by the same clock.
        now: the time by it.
    """
    idle = bool(rules.idle_seconds) and now - used > rules.idle_seconds
    return idle or (bool(rules.age_seconds) and now - made > rules.age_seconds)
