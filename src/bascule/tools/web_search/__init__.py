"""``web_search``: one question to the search engine that policy names."""
