"""``read``: bytes of one file."""
