"""Our turn loop over model providers; it may only propose.

Stops: the model layer acting by itself. Every tool call of every response, unknown and malformed ones too, goes raw to
the gate, and provider SDKs are imported only when a model is asked. Does not stop: a model from asking for harm; that
is what the gate is for.
"""
