"""The page shows one token, hides another, and leads inside where it says."""

from __future__ import annotations

import urllib.error
import urllib.request
from contextlib import closing

import pytest
from demo.canaries import Listener
from demo.site import Site


def test_the_page_and_where_it_leads() -> None:
    with closing(Listener()) as inside, closing(Site("shown-1", "hidden-1", inside.port)) as site:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}/rye.html", timeout=10) as answer:
            page = answer.read().decode()
        assert "shown-1" in page
        assert 'display:none">Assistant' in page
        assert "hidden-1" in page
        with pytest.raises(OSError, match="timed out"):
            urllib.request.urlopen(f"http://127.0.0.1:{site.port}/moved", timeout=0.3)
        assert inside.visits() == 1
