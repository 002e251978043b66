"""``edit``: replace text in one file."""
