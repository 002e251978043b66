"""Linux system calls that Python's library lacks; no policy of any kind."""
