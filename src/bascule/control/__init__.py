"""The local control socket: what a verb may ask of the gateway, the frames it travels in, server and client."""
