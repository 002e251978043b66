"""The command line: one file a verb or group of verbs, and the sink, the one place that prints."""
