"""Bascule: a gateway that runs personal AI agents as if their model were already compromised."""

__version__ = "0.1.0"
