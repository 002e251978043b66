"""This machine: accounts, programs, what is in force. Rooms here look; they do not judge."""
