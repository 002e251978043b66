"""The tools: one folder each, with what the model is told (spec), what the operator is shown (card), and the hands.

A tool's hands move only with a confinement the gate met from all layers; a tool looks up, but never decides.
"""
