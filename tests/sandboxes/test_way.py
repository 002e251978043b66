"""What a program with a way out is told."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from bascule.sandboxes.way import BUNDLE, BUNDLES, PORT, environment


@pytest.mark.parametrize("bundle", [True, False])
def test_every_spelling_names_the_one_address_and_nothing_goes_round_it(bundle: bool) -> None:
    told = environment(bundle=bundle)
    proxies = {name: value for name, value in told.items() if name.upper().endswith("S_PROXY") or "TP_" in name.upper()}
    assert set(proxies) == {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"}
    for value in proxies.values():
        assert (urlsplit(value).scheme, urlsplit(value).hostname, urlsplit(value).port) == ("http", "127.0.0.1", PORT)
    assert (told["NO_PROXY"], told["no_proxy"]) == ("", "")


def test_certificates_are_named_only_where_there_are_some() -> None:
    assert environment(bundle=True)["SSL_CERT_FILE"] == BUNDLE
    assert "SSL_CERT_FILE" not in environment(bundle=False)
    assert BUNDLES[0] == BUNDLE
