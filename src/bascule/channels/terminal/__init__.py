"""The terminal: a conversation, line by line, with the questions answered where they are asked."""
