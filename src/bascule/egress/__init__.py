"""The one way out: which addresses may be connected to, the gateway's own client, and the proxy that boxes speak to."""
