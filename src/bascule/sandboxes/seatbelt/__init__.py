"""Seatbelt, macOS: only a generated profile, which nobody has tried."""
