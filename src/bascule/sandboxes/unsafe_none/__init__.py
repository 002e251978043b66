"""Programs on the bare host, for agents whose policy says ``unsafe_none``."""
