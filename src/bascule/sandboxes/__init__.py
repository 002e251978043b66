"""Boxes: what runs inside them, what makes them, and the gateway's end of both. Nothing is imported here."""
