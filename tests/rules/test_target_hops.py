"""Whom to believe about scheme, host and client; and what kind of client is asking."""

from __future__ import annotations

import pytest

from proxy.errors import BadRequest, Reason
from proxy.model import Kind
from proxy.rules.headers import forwarded
from proxy.rules.target import UNIX_PEER, Trust, check_host, read_target
from tests.rules.asking import HOP, HOPS, HOST, OPEN, PUBLIC, STRANGER, read, refusal

FORWARDED = (
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "other.example"),
    ("X-Forwarded-For", "203.0.113.9"),
)


@pytest.mark.parametrize(
    ("peer", "trust"),
    [
        pytest.param(STRANGER, OPEN, id="nobody is trusted"),
        pytest.param(STRANGER, HOPS, id="not this peer"),
        pytest.param("", HOPS, id="peer without an address"),
        pytest.param("unix:", HOPS, id="peer that is no address"),
        pytest.param("11.0.0.1", HOPS, id="next network"),
    ],
)
def test_forwarded_headers_of_strangers_change_nothing(peer: str, trust: Trust) -> None:
    target = read("/", *FORWARDED, peer=peer, trust=trust)
    assert (target.scheme, target.host, target.client) == ("https", HOST, peer)


@pytest.mark.parametrize("peer", [HOP, "::ffff:10.0.0.1", "2001:db8::1"])
def test_forwarded_headers_of_a_trusted_hop_count(peer: str) -> None:
    target = read("/", *FORWARDED, peer=peer, trust=HOPS)
    assert (target.scheme, target.host) == ("http", "other.example")
    assert target.client == "203.0.113.9"


def test_without_forwarded_headers_a_trusted_hop_is_the_client() -> None:
    target = read(peer=HOP, trust=HOPS)
    assert (target.scheme, target.host, target.client) == ("https", HOST, HOP)


def test_the_forwarded_host_is_held_against_our_names() -> None:
    trust = Trust("https", PUBLIC.hosts, HOPS.proxies)
    target = read("/", ("X-Forwarded-Host", "evil.example"), peer=HOP, trust=trust)
    with pytest.raises(BadRequest):
        check_host(target, trust)


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"]
)
@pytest.mark.parametrize("peer", [STRANGER, HOP])
def test_no_header_changes_the_path(name: str, peer: str) -> None:
    """oauth2-proxy CVE-2026-40575 (GHSA-7x63), Traefik CVE-2026-35051."""
    assert read("/admin", (name, "/ping"), peer=peer, trust=HOPS).path == "/admin"


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_no_header_changes_the_method(name: str) -> None:
    assert read("/", (name, "DELETE"), peer=HOP, trust=HOPS).method == "GET"


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        pytest.param(["203.0.113.9"], "203.0.113.9", id="one"),
        pytest.param(["1.1.1.1, 203.0.113.9"], "203.0.113.9", id="what the client made up"),
        pytest.param(["1.1.1.1", "203.0.113.9"], "203.0.113.9", id="two lines"),
        pytest.param(["203.0.113.9, 10.1.2.3"], "203.0.113.9", id="two hops"),
        pytest.param(["10.9.9.9, 10.1.2.3"], "10.9.9.9", id="hops all the way"),
        pytest.param(["unknown, 203.0.113.9"], "203.0.113.9", id="garbage beyond the client"),
        pytest.param(["203.0.113.9:50123"], "203.0.113.9", id="port (Azure gateways)"),
        pytest.param(["[2001:db9::1]:50123"], "2001:db9::1", id="IPv6 with a port"),
        pytest.param(["[2001:db9::1]"], "2001:db9::1", id="IPv6 in brackets"),
        pytest.param(["2001:db9::1"], "2001:db9::1", id="IPv6"),
        pytest.param([""], HOP, id="empty"),
        pytest.param(["203.0.113.9, ,"], "203.0.113.9", id="empty items"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_hop(lines: list[str], client: str) -> None:
    headers = [("X-Forwarded-For", line) for line in lines]
    assert read("/", *headers, peer=HOP, trust=HOPS).client == client


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        pytest.param("X-Forwarded-For", "unknown", Reason.BAD_HEADER, id="no address"),
        pytest.param("X-Forwarded-For", "10.0.0.1:x", Reason.BAD_HEADER, id="no port"),
        pytest.param("X-Forwarded-For", "1.2.3.4.5", Reason.BAD_HEADER, id="five numbers"),
        pytest.param("X-Forwarded-For", "010.0.0.1", Reason.BAD_HEADER, id="octal"),
        pytest.param("X-Forwarded-For", "fe80::1%<b>", Reason.BAD_HEADER, id="zone"),
        pytest.param("X-Forwarded-For", "x, 10.0.0.2", Reason.BAD_HEADER, id="behind a hop"),
        pytest.param("X-Forwarded-Proto", "ftp", Reason.BAD_HEADER, id="scheme"),
        pytest.param("X-Forwarded-Proto", "https, http", Reason.BAD_HEADER, id="two schemes"),
        pytest.param("X-Forwarded-Proto", "", Reason.BAD_HEADER, id="no scheme"),
        pytest.param("X-Forwarded-Host", "a, b", Reason.BAD_HOST, id="two hosts"),
        pytest.param("X-Forwarded-Host", "a/b", Reason.BAD_HOST, id="no host name"),
        pytest.param("X-Forwarded-Host", "", Reason.BAD_HOST, id="empty host"),
    ],
)
def test_what_a_hop_says_is_understood_or_refused(name: str, value: str, reason: Reason) -> None:
    """An X-Forwarded-For that cannot be read is no reason to skip a rule (authentik
    CVE-2024-47070)."""
    assert refusal("/", (name, value), peer=HOP) is reason


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Host"])
def test_a_hop_says_it_once(name: str) -> None:
    assert refusal("/", (name, "https"), (name, "https"), peer=HOP) is Reason.BAD_HEADER


@pytest.mark.parametrize(
    ("told", "scheme"), [("ws", "http"), ("wss", "https"), ("WSS", "https"), ("HTTP", "http")]
)
def test_the_scheme_of_a_websocket_is_that_of_http(told: str, scheme: str) -> None:
    """Traefik tells it so for handshakes."""
    assert read("/", ("X-Forwarded-Proto", told), peer=HOP, trust=HOPS).scheme == scheme


UPGRADE = (("Upgrade", "websocket"), ("Connection", "Upgrade"))


@pytest.mark.parametrize(
    ("method", "headers", "kind"),
    [
        pytest.param("GET", [("Accept", "text/html,*/*;q=0.8")], Kind.NAVIGATION, id="page"),
        pytest.param("HEAD", [("Accept", "text/html")], Kind.NAVIGATION, id="head of a page"),
        pytest.param("GET", [("Accept", "Text/HTML;q=1")], Kind.NAVIGATION, id="in capitals"),
        pytest.param("POST", [("Accept", "text/html")], Kind.PROGRAM, id="form"),
        pytest.param("GET", [("Accept", "*/*")], Kind.PROGRAM, id="curl"),
        pytest.param("GET", [], Kind.PROGRAM, id="no Accept"),
        pytest.param("GET", [("Accept", "application/json")], Kind.PROGRAM, id="JSON"),
        pytest.param("GET", [("Accept", "text/htmlx")], Kind.PROGRAM, id="almost HTML"),
        pytest.param("GET", [("Sec-Fetch-Mode", "navigate")], Kind.NAVIGATION, id="navigate"),
        pytest.param(
            "GET",
            [("Sec-Fetch-Mode", "cors"), ("Accept", "text/html")],
            Kind.PROGRAM,
            id="fetch that accepts HTML",
        ),
        pytest.param(
            "GET",
            [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Mode", "cors")],
            Kind.PROGRAM,
            id="two modes",
        ),
        pytest.param(
            "GET",
            [("X-Requested-With", "XMLHttpRequest"), ("Accept", "text/html")],
            Kind.PROGRAM,
            id="XMLHttpRequest",
        ),
        pytest.param("GET", UPGRADE, Kind.WEBSOCKET, id="WebSocket"),
        pytest.param(
            "GET",
            [("Upgrade", "WebSocket"), ("Connection", "keep-alive, Upgrade")],
            Kind.WEBSOCKET,
            id="WebSocket by Firefox (E1.7)",
        ),
        pytest.param(
            "GET",
            [*UPGRADE, ("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html")],
            Kind.WEBSOCKET,
            id="WebSocket before anything else",
        ),
        pytest.param("GET", [UPGRADE[0]], Kind.PROGRAM, id="Upgrade without Connection"),
        pytest.param("GET", [UPGRADE[1]], Kind.PROGRAM, id="Connection without Upgrade"),
        pytest.param(
            "GET", [("Upgrade", "h2c"), ("Connection", "Upgrade")], Kind.PROGRAM, id="h2c"
        ),
        pytest.param("POST", UPGRADE, Kind.PROGRAM, id="only GET opens a WebSocket"),
        pytest.param("HEAD", UPGRADE, Kind.PROGRAM, id="HEAD does not"),
    ],
)
def test_kinds(method: str, headers: list[tuple[str, str]], kind: Kind) -> None:
    assert read("/", *headers, method=method).kind is kind


@pytest.mark.parametrize("agent", ["kube-probe/1.29", "GoogleHC/1.0", "ELB-HealthChecker/2.0"])
def test_a_user_agent_changes_nothing(agent: str) -> None:
    """oauth2-proxy CVE-2026-34457 (GHSA-5hvv): the health check's name opened the door."""
    assert read("/admin", ("User-Agent", agent)) == read("/admin")


@pytest.mark.parametrize(
    ("trusted", "client", "host"),
    [
        pytest.param(False, "unix:", "play.example.org", id="by default"),
        pytest.param(True, "203.0.113.7", "play.example.org", id="where they are trusted"),
    ],
)
def test_whoever_comes_over_a_unix_socket_is_believed_only_if_told_so(
    trusted: bool, client: str, host: str
) -> None:
    trust = Trust("https", None, (), unix=trusted)
    headers = [(b"Host", host.encode()), (b"X-Forwarded-For", b"203.0.113.7")]
    target = read_target("GET", "/", headers, UNIX_PEER, trust)
    assert (target.client, target.host) == (client, host)
    chain = forwarded(target, headers, UNIX_PEER, trust.trusts(UNIX_PEER))
    assert dict(chain)[b"X-Forwarded-For"] == client.encode()
