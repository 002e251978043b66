"""``write``: replace or extend one file."""
