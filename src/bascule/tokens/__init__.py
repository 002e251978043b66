"""Who may come in over HTTP: tokens, one-time links, signed-in browsers; of each secret only its hash is kept."""
