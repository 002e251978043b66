"""One SQLite file that survives ``kill -9``: its connection, its lock, its migrations. Each owner keeps its own SQL."""
