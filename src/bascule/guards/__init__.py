"""Rules that cut across the layers. Like layers they only forbid; unlike layers nothing of the system enforces them."""

from bascule.guards import config_lock, containment, in_force, quota

GUARDS = (containment, config_lock, in_force, quota)
"""Every guard; each module has ``NAME`` and ``judge``."""
