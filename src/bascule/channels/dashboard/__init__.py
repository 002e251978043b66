"""The operator's pages: drawn on the server, live by server-sent events, and usable without any script.

Stops: nothing by itself; see each file. ``add`` puts the pages onto the application of :mod:`bascule.channels.web`.
"""

from bascule.channels.dashboard.pages import add

__all__ = ["add"]
