"""Ways to reach a model, behind one small protocol; model SDKs are imported when a model is first asked."""
