"""The HTTP interfaces for programs: ``/api/v1`` for all a verb can do, ``/v1`` for clients of OpenAI's interface."""
