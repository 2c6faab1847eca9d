"""Plain HTTP beside TLS: led on to public_url, or refused; nothing is served on it."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.authority import Authority
from tests.web.place import HOST, PUBLIC, Place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    certificate, key = Authority(tmp_path).issue(HOST)
    server = {
        "listen": ["127.0.0.1:0", f"unix:{tmp_path}/x.sock"],
        "tls_listen": "127.0.0.1:0",
        "certificate_file": str(certificate),
        "key_file": str(key),
        "redirect_http": True,
    }
    async with Place(server=server, routes=[{"path": "/open", "access": "public"}]) as running:
        yield running


async def exchange(place: Place, request: str) -> tuple[int, str, str]:
    """Status, Location and everything, once the other end has closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(request.encode("latin-1"))
    async with asyncio.timeout(10):
        answer = (await reader.read()).decode("latin-1")
    writer.close()
    location = re.search(r"(?im)^location: (.*?)\r$", answer)
    return int(answer.split(" ")[1]), location[1] if location else "", answer


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param("/", "/", id="the root"),
        pytest.param("/a/b?x=1&y=%2F", "/a/b?x=1&y=%2F", id="path and query as they came"),
        pytest.param("/open", "/open", id="a public route"),
        pytest.param("/oauth2/start?rd=/x", "/oauth2/start?rd=/x", id="one of our endpoints"),
        pytest.param("/oauth2/auth", "/oauth2/auth", id="forward-auth"),
        pytest.param("/@evil.example", "/@evil.example", id="what looks like a user"),
        pytest.param("/%0A", "", id="an escaped line end"),
        pytest.param("//evil.example/x", "", id="another host"),
        pytest.param("/\\evil.example", "", id="a backslash"),
        pytest.param("/a/../b", "", id="dot segments"),
        pytest.param("/%2e%2e/", "", id="escaped dot segments"),
        pytest.param("http://play.example.gouv.fr/x?y", "/x?y", id="absolute form"),
        pytest.param("https://evil.example/", "", id="absolute form of another"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_pages_are_led_to_the_public_url(
    method: str, target: str, expected: str, place: Place
) -> None:
    status, location, _ = await exchange(
        place, f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    )
    if expected:
        assert (status, location) == (308, PUBLIC + expected)
    else:
        assert (status, location) == (400, "")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:80", f"{HOST}:8080", "evil.example."])
async def test_the_host_that_was_given_leads_nowhere(host: str, place: Place) -> None:
    status, location, answer = await exchange(
        place, f"GET /x HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n\r\n"
    )
    assert (status, location) == (308, f"{PUBLIC}/x")
    assert "evil" not in answer


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("GET / HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nHost: x\r\n\r\n", id="two"),
        pytest.param("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", id="no host name"),
        pytest.param(f"GET /{'x' * 9000} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", id="too long"),
        pytest.param("nonsense\r\n\r\n", id="not HTTP"),
    ],
)
async def test_what_cannot_be_read_is_refused_as_everywhere(head: str, place: Place) -> None:
    status, location, _ = await exchange(place, head)
    assert 400 <= status < 500
    assert location == ""


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("POST / HTTP/1.1\r\nContent-Length: 3\r\n{host}\r\nabc", id="a form"),
        pytest.param("POST / HTTP/1.1\r\nContent-Length: 99\r\n{host}\r\n", id="its head alone"),
        pytest.param("PUT /open HTTP/1.1\r\nContent-Length: 0\r\n{host}\r\n", id="a public route"),
        pytest.param("POST /oauth2/sign_out HTTP/1.1\r\n{host}\r\n", id="a sign-out"),
        pytest.param("DELETE /x HTTP/1.1\r\n{host}\r\n", id="a deletion"),
        pytest.param("OPTIONS /x HTTP/1.1\r\n{host}\r\n", id="a question"),
        pytest.param(
            "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "{host}\r\n",
            id="a WebSocket",
        ),
    ],
)
async def test_what_carries_more_than_an_address_is_refused(head: str, place: Place) -> None:
    status, location, answer = await exchange(place, head.format(host=f"Host: {HOST}\r\n"))
    assert (status, location) == (403, "")
    assert json.loads(answer.partition("\r\n\r\n")[2])["error"] == "https_required"
    assert not place.upstream.seen


async def test_ping_and_ready_are_answered(place: Place) -> None:
    await place.app.parts.providers.first.check()  # type: ignore[union-attr]
    for path in ("/ping", "/ready"):
        request = f"GET {path} HTTP/1.1\r\nHost: internal:80\r\nConnection: close\r\n\r\n"
        assert (await exchange(place, request))[0] == 200
    refused = await exchange(place, f"POST /ping HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
    assert refused[0] == 405


async def test_a_session_is_worth_nothing_here(place: Place) -> None:
    """Nor is it touched: no cookie is set, none is removed."""
    status, location, answer = await exchange(
        place, f"GET /x HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-auth_proxy=x\r\n\r\n"
    )
    assert (status, location) == (308, f"{PUBLIC}/x")
    assert "set-cookie" not in answer.lower()
    assert "no-store" in answer


async def test_it_is_told_in_log_and_metrics(place: Place) -> None:
    await exchange(place, f"GET /x?secret=1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
    await exchange(place, f"POST /y HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n")
    lines = [(line["path"], line["status"]) for line in place.audited("access")]
    assert lines == [("/x", 308), ("/y", 403)]
    async with place.http.get(f"http://127.0.0.1:{place.app.private_port}/metrics") as answer:
        text = await answer.text()
    assert 'auth_proxy_refused_total{reason="https_required"} 1.0' in text


async def test_tls_and_unix_sockets_serve_everything(place: Place, tmp_path: Path) -> None:
    trust = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", place.app.tls_port, ssl=trust, server_hostname=HOST
    )
    request = f"GET /open HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    writer.write(request)
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "x.sock")
    writer.write(request)
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
