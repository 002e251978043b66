"""``web_fetch``: one page, by the gateway's own client."""
