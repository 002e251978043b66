"""Boxes made by bubblewrap."""
