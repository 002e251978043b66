"""The file worker: runs inside an agent's box and touches its files; standard library only, no programs, no network."""
