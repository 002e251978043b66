"""Ways of writing an address that must not be reached: every notation of every inside address, as hosts of a URL."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

INSIDE_4 = [
    "0.0.0.0", "0.0.0.1", "0.255.255.255", "10.0.0.0", "10.0.0.1", "10.255.255.255", "100.64.0.0", "100.64.0.1",
    "100.100.100.200", "100.127.255.255", "127.0.0.0", "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.255",
    "168.63.129.16", "169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255", "172.16.0.0", "172.17.0.1",
    "172.31.255.255", "192.0.0.0", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.0",
    "192.168.0.1", "192.168.1.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.254", "255.255.255.255",
]  # fmt: skip

INSIDE_6 = [
    "::", "::1", "::2", "::127.0.0.1", "::7f00:1", "::10.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::ffff:93.184.216.34", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b::93.184.216.34", "64:ff9b:1::7f00:1", "64:ff9b:1:ffff::10.0.0.1", "100::1",
    "2001::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:2::1", "2001:10::1", "2001:20::1",
    "2001:db8::1", "2002:7f00:1::", "2002:7f00:0001::1", "2002:a00:1::", "2002:a9fe:a9fe::", "3fff::1", "4000::1",
    "5f00::1", "8000::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fdff:ffff::1", "fe80::1", "fe80::a9fe:a9fe",
    "febf::1", "fec0::1", "feff::1", "ff02::1", "ff02::fb", "ffff::1", "2a00:1450:4001::5efe:127.0.0.1",
    "2a00:1450:4001::200:5efe:10.0.0.1",
]  # fmt: skip

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.1", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255",
    "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e",
    "2001:4860:4860::8888", "2003::1", "2620:fe::fe", "2400:cb00::1",
]  # fmt: skip


def notations(address: str) -> Iterator[str]:
    """Every way a lax parser has been seen to accept an IPv4 address, each as a host."""
    number = int(ipaddress.IPv4Address(address))
    a, b, c, d = ipaddress.IPv4Address(address).packed
    yield address
    yield f"{address}."
    yield str(number)
    yield f"{number:#x}"
    yield f"{number:#X}"
    yield f"{number:#o}".replace("0o", "0")
    yield f"0000{number:o}"
    yield f"{a}.{(b << 16) + (c << 8) + d}"
    yield f"{a}.{b}.{(c << 8) + d}"
    yield f"{a:#x}.{b:#x}.{c:#x}.{d:#x}"
    yield f"{a:#x}.{b}.{c:#o}".replace("0o", "0") + f".{d}"
    yield f"0{a:o}.0{b:o}.0{c:o}.0{d:o}"
    yield f"{a:03}.{b:03}.{c:03}.{d:03}"
    yield f"{a}.{b}.{c}.{d:#x}."
    yield f"{number + (1 << 32)}"
    yield f"[::ffff:{address}]"
    yield f"[::{address}]"
    yield f"[64:ff9b::{address}]"
    yield f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::]"
    yield f"{address}%00.example.org"
    yield f"user@{address}"
    yield address.replace(".", "。")
    yield address.replace(".", "%2e")
    yield address.translate({48 + digit: 0xFF10 + digit for digit in range(10)})


def hosts() -> list[str]:
    """Every host of the table, as it stands in a URL."""
    found = [written for address in INSIDE_4 for written in notations(address)]
    for address in INSIDE_6:
        full = ipaddress.IPv6Address(address).exploded
        found += [f"[{address}]", address, f"[{full}]", f"[{full.upper()}]", f"[{address}%25eth0]", f"[{address}%lo]"]
    found += [
        "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "ip6-localhost", "a.localhost", "broadcasthost",
        "metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal", "kubernetes.default.svc.cluster.local",
        "router.lan", "printer.local", "host.docker.internal", "gateway.docker.internal", "wpad", "1.0.0.127.in-addr.arpa",
        "ⓛocalhost", "\u217cocalhost", "localhost\u3002", "①②⑦.⓪.⓪.①", "loca\u00adlhost", "\u200blocalhost", "localhost\t", " localhost",
        "127.0.0.1\t", "127.0.0.1:80\\@example.org", "example.org@127.0.0.1", "example.org:80@127.0.0.1", "127.0.0.1#example.org",
        "127.0.0.1?@example.org", "127.0.0.1\\.example.org", "[127.0.0.1]", "[localhost]", "[::1]example.org", "[::1].example.org",
        "0", "0x0", "00", "127.0.0.1.0", "0x7f.0.0.0x1.", "1e9", "-1", "+127.0.0.1", "127..0.1", "127,0,0,1",
    ]  # fmt: skip
    return list(dict.fromkeys(found))
