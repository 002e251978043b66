"""Surfaces on which an operator meets their agents. Each receives its gateway and its screen; none makes them."""
