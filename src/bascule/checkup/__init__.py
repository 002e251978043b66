"""Posture checks: what this machine is like, held against what it should be. Values are judged; looking is apart."""
