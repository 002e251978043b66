"""Where the gateway is reached besides its own socket: the HTTP surfaces and Signal, as policy wants them.

Stops: a surface opening itself. Absent is off for Signal, and the machine's own loopback for HTTP; every wider reach is
a value that policy set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_PORT = 18_789
"""The port OpenClaw's gateway listens on, so that bookmarks and proxies carry over."""


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """Where the dashboard and the HTTP interfaces listen.

    Attributes:
        enabled: they are served at all.
        dashboard: the pages are.
        chat: the OpenAI-compatible interface is.
        host: address to listen on, a literal; loopback unless policy says otherwise.
        port: TCP port.
        origins: ``scheme://host[:port]`` a browser may come from besides this machine's own names, in lower case.
        proxies: addresses and networks whose forwarding headers are believed.
        base_path: what a reverse proxy puts before every path, empty or ``/name``.
    """

    enabled: bool = True
    dashboard: bool = True
    chat: bool = True
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    base_path: str = ""


@dataclass(frozen=True, slots=True)
class GroupRule:
    """What holds in one Signal group; ``enabled`` false silences it."""

    enabled: bool = True
    require_mention: bool = True


@dataclass(frozen=True, slots=True)
class SignalPolicy:
    """One Signal account and who may write to it; lists hold parsed entries (see ``policy/senders.py``).

    Attributes:
        account: our own number.
        account_uuid: our own id, empty if policy does not say.
        url: of ``signal-cli daemon --http``, without a path.
        dm_policy: ``pairing``, ``allowlist``, ``open`` or ``disabled``.
        allow_from: who may write to us directly.
        group_policy: ``open``, ``allowlist`` or ``disabled``.
        group_allow_from: who may write to us in groups.
        groups: rules by group id, ``*`` for all others; a group that is not named is not heard.
        agent: who answers.
        chunk: characters of one message.
        attachments: attachments are mentioned to the agent (their bytes never are).
        read_receipts: senders are told that we read.
    """

    account: str
    account_uuid: str = ""
    url: str = "http://127.0.0.1:8080"
    dm_policy: str = "pairing"
    allow_from: tuple[str, ...] = ()
    group_policy: str = "allowlist"
    group_allow_from: tuple[str, ...] = ()
    groups: Mapping[str, GroupRule] = field(default_factory=dict)
    agent: str = ""
    chunk: int = 4000
    attachments: bool = True
    read_receipts: bool = False
