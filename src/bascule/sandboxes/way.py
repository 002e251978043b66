"""The one address of a box that has a way out, and what its programs are told of it.

Stops: nothing by itself; these are the values that the launcher, bubblewrap and a container's resident agree on.
"""

from __future__ import annotations

from collections.abc import Mapping

PORT = 3128
"""TCP port on the box's own 127.0.0.1; the one that proxies usually have (Squid's default)."""

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
"""Where a program finds the certificates it checks servers by: Debian's place, which OpenSSL is also told."""

BUNDLES = (BUNDLE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem")
"""Where a machine may have them: Debian and Arch, Fedora, SUSE, Alpine."""

_ADDRESS = f"http://127.0.0.1:{PORT}"


def environment(*, bundle: bool) -> Mapping[str, str]:
    """Return what a program with a way out is told besides the usual.

    Args:
        bundle: there are certificates at :data:`BUNDLE`.
    """
    told = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _ADDRESS)
    told |= {"NO_PROXY": "", "no_proxy": ""}
    return told | ({"SSL_CERT_FILE": BUNDLE} if bundle else {})
