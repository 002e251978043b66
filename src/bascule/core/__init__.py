"""The nouns every room shares: frozen values, standard library only, no input or output."""
