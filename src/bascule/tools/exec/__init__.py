"""``exec``: one command line, judged word by word, each program in a box of its own."""
