"""Requests in one line: what ``read_target`` makes of them, or why it refuses."""

from __future__ import annotations

import ipaddress

import pytest

from proxy.errors import BadRequest, Reason
from proxy.model import Target
from proxy.rules.target import Trust, public_hosts, read_target

HOST = "app.example.org"
OPEN = Trust("https", None)
PUBLIC = Trust("https", public_hosts(f"https://{HOST}", ()))
HOPS = Trust(
    "https",
    None,
    (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32")),
)
HOP, STRANGER = "10.0.0.1", "198.51.100.7"


def read(
    raw: str = "/",
    *headers: tuple[str, str],
    method: str = "GET",
    host: str | None = HOST,
    peer: str = STRANGER,
    trust: Trust = OPEN,
) -> Target:
    lines = [("Host", host)] if host is not None else []
    pairs = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in (*lines, *headers)]
    return read_target(method, raw, pairs, peer, trust)


def refusal(raw: str = "/", *headers: tuple[str, str], **more: str) -> Reason:
    trust = HOPS if more.get("peer") == HOP else OPEN
    with pytest.raises(BadRequest) as caught:
        read(raw, *headers, trust=trust, **more)
    return caught.value.reason
