"""The HTTP server that the pages and the interfaces live in: who may speak to it, and how much."""
