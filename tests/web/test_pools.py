"""Upstreams as routes name them: on sockets, on several addresses, over TLS."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from proxy.config.settings import Forwarding
from proxy.errors import ConfigError
from proxy.web.log import Log
from proxy.web.metrics import Metrics
from proxy.web.pools import Pools, limits, own_url, teller
from proxy.wire.addresses import Address
from proxy.wire.origin import Origin
from tests.fakes.authority import Authority
from tests.fakes.scripted import Script, request, upstream
from tests.web.place import Place

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SERVES: Script = [request, OK] * 10


def to(*urls: str, **more: Any) -> list[dict[str, Any]]:
    return [{"path": "/*", "access": "public", "upstream": list(urls), **more}]


def refusing() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_the_settings_become_limits() -> None:
    found = limits(Forwarding.model_validate({"max_lifetime": "5m", "dns_ttl": "2s"}))
    assert (found.max_lifetime, found.dns_ttl) == (300, 2)
    assert (found.connect_timeout, found.max_connections) == (5, 256)


@pytest.mark.parametrize(
    ("urls", "base", "host", "own"),
    [
        pytest.param(("http://app",), "", b"app", b"http://app", id="plain"),
        pytest.param(
            ("https://App:8443/base/",), "/base", b"app:8443", b"https://app:8443/base", id="path"
        ),
        pytest.param(
            ("unix:/run/a.sock:/base",), "/base", b"localhost", b"http://localhost/base", id="unix"
        ),
        pytest.param(("http://a:1", "http://b:2"), "", b"a:1", b"http://a:1", id="several"),
    ],
)
async def test_what_a_route_gets(urls: tuple[str, ...], base: str, host: bytes, own: bytes) -> None:
    pools = Pools(Forwarding())
    pool, *rest = pools.get(urls)
    assert rest == [base, host]
    assert pools.get(urls)[0] is pool
    assert own_url(urls) == own
    await pools.close()


async def test_routes_that_differ_in_the_path_share_connections() -> None:
    pools = Pools(Forwarding())
    assert pools.get(("http://app/a",))[0] is pools.get(("http://app/b",))[0]
    assert pools.get(("http://app/a",))[0] is not pools.get(("http://app:81/a",))[0]
    await pools.close()


async def test_unusable_files_are_a_problem_of_the_configuration(tmp_path: Path) -> None:
    pools = Pools(Forwarding(ca_file=str(tmp_path / "nothing.pem")))
    with pytest.raises(ConfigError):
        pools.get(("https://app",))


@pytest.mark.parametrize("preserve", [True, False], ids=["the client's Host", "its own Host"])
async def test_an_upstream_on_a_unix_socket(tmp_path: Path, preserve: bool) -> None:
    path = tmp_path / "app.sock"
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://localhost/base/y\r\nContent-Length: 0\r\n\r\n"
    async with upstream([request, moved] * 5, path=path) as app:
        routes = to(f"unix:{path}:/base", preserve_host=preserve)
        async with Place(routes=routes) as place:
            answer = await place.browser().get("/x?a=1")
            assert answer.status == 302
            head = bytes(app.peers[0].received)
            host = place.host.encode() if preserve else b"localhost"
            assert head.startswith(b"GET /base/x?a=1 HTTP/1.1\r\n")
            assert b"\r\nHost: " + host + b"\r\n" in head
            expected = "http://localhost/base/y" if preserve else "/y"
            assert answer.headers["Location"] == expected


async def test_while_one_of_two_addresses_is_down_every_request_is_answered() -> None:
    async with upstream(SERVES) as app:
        routes = to(f"http://127.0.0.1:{refusing()}", app.url)
        async with Place(routes=routes) as place:
            browser = place.browser()
            assert [(await browser.get("/x")).status for _ in range(5)] == [200] * 5


async def test_an_https_upstream_with_names_of_its_own_and_a_client_certificate(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("proxy")
    forwarding = {
        "ca_file": str(authority.file),
        "client_certificate_file": str(certificate),
        "client_key_file": str(key),
        "server_name": "app.example",
    }
    async with upstream(SERVES, tls=authority.server("app.example", clients=True)) as app:
        routes = to(f"https://127.0.0.1:{app.port}")
        async with Place(routes=routes, forwarding=forwarding) as place:
            assert (await place.browser().get("/x")).status == 200
        async with Place(routes=routes, forwarding={"ca_file": str(authority.file)}) as place:
            program = await place.browser().get("/x", page=False)
            assert program.status == 502
            assert json.loads(program.body)["error"] == "upstream_unreachable"
            assert "IP address mismatch" in place.logged()
            assert "mismatch" not in program.body.decode()


async def test_a_failing_address_is_logged_and_counted_and_so_is_its_return() -> None:
    there = socket.socket()
    there.bind(("127.0.0.1", 0))
    port = there.getsockname()[1]
    there.close()
    async with (
        upstream(SERVES) as app,
        Place(routes=to(f"http://127.0.0.1:{port}", app.url)) as place,
    ):
        browser = place.browser()
        for _ in range(4):
            assert (await browser.get("/x")).status == 200
        [line] = [it for it in place.logged().splitlines() if "is left out" in it]
        event = f"upstream 127.0.0.1:{port} is left out for 1s: Connection refused"
        assert json.loads(line)["event"] == event
        assert json.loads(line)["level"] == "warning"
        metrics = place.apps[0].parts.metrics.render().decode()
        assert "auth_proxy_upstream_ejections_total 1.0" in metrics


def test_that_an_address_is_back_is_one_line_of_the_log() -> None:
    stream, metrics = io.StringIO(), Metrics()
    tell = teller(Log(stream, lambda: 0.0), metrics)
    address = Address(Origin.parse("http://app:81"), "192.0.2.1")
    address.pause = 1.0
    tell(address, "Connection refused")
    tell(address, "")
    assert [line.partition("Z ")[2] for line in stream.getvalue().splitlines()] == [
        "warning upstream app:81 (192.0.2.1) is left out for 1s: Connection refused",
        "info upstream app:81 (192.0.2.1) is back",
    ]
