"""The application: the only room that knows every other."""

from bascule.app.process import serve

__all__ = ["serve"]
