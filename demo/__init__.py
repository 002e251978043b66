"""``make demo``: a real gateway, a model that works and then turns, and what came of each of its calls.

Shows: what the gate, its boxes and its ledger do on this machine, now. Every cell is read from the ledger or from a
canary after the fact. Does not show: attacks nobody wrote down; ``tests/attacks/`` holds more of them.
"""
