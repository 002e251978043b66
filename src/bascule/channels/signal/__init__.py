"""Signal, through ``signal-cli daemon --http``: cards out, answers and words in."""
