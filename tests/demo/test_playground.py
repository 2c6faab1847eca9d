"""The playground over real sockets: nothing without an identity, everything streamed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from proxy.demo.playground import PlaygroundConfig, create_playground
from tests.demo.proxied import AUDIENCE, HEADER, ISSUER, FakeProxy
from tests.demo.serving import serving
from tests.fakes.clock import FakeClock


@dataclass(frozen=True, slots=True)
class Setup:
    proxy: FakeProxy
    url: str
    session: aiohttp.ClientSession
    """Sends a good identity with each request."""


@pytest_asyncio.fixture
async def setup(clock: FakeClock) -> AsyncIterator[Setup]:
    proxy = FakeProxy(clock)
    async with serving(proxy.app) as jwks:
        config = PlaygroundConfig(f"{jwks}/jwks.json", ISSUER, AUDIENCE, word_delay=0.0)
        async with (
            serving(create_playground(config, clock)) as url,
            aiohttp.ClientSession(headers={HEADER: proxy.identity()}) as session,
        ):
            yield Setup(proxy, url, session)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/whoami"),
        ("GET", "/chat?m=x"),
        ("GET", "/_event"),
        ("POST", "/_upload"),
        ("GET", "/assets/playground.js"),
        ("GET", "/no/such/page"),
    ],
)
async def test_without_an_identity_nothing_is_shown(setup: Setup, method: str, path: str) -> None:
    async with (
        aiohttp.ClientSession(headers={"X-Forwarded-Email": "admin@example.org"}) as stranger,
        stranger.request(method, setup.url + path) as response,
    ):
        assert response.status == 401
        assert (await response.json())["error"] == "no_identity"


async def test_ping_is_open_and_asks_for_no_keys(setup: Setup) -> None:
    async with aiohttp.ClientSession() as stranger, stranger.get(setup.url + "/ping") as response:
        assert (response.status, await response.text()) == (200, "pong\n")
    assert setup.proxy.calls["jwks"] == 0


async def test_the_page_shows_who_is_there(setup: Setup) -> None:
    async with setup.session.get(setup.url + "/") as response:
        text = await response.text()
        policy = response.headers["Content-Security-Policy"]
    for shown in ("Alice Martin", "alice@example.org", "admins", "alice-5f0c3b1e", "60 min 00 s"):
        assert shown in text
    assert 'action="/oauth2/sign_out"' in text
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


async def test_markup_in_claims_is_inert(setup: Setup) -> None:
    evil = "</td><script>alert(1)</script>"
    headers = {HEADER: setup.proxy.identity(name=evil, groups=[evil], email=evil, sub=evil)}
    async with setup.session.get(setup.url + "/", headers=headers) as response:
        assert response.status == 200
        assert "<script>alert" not in await response.text()


async def test_the_least_identity_is_enough_for_the_page(setup: Setup) -> None:
    headers = {HEADER: setup.proxy.identity(name=None, email=None, groups=None)}
    async with setup.session.get(setup.url + "/", headers=headers) as response:
        text = await response.text()
    assert response.status == 200
    assert "no groups" in text


async def test_whoami_tells_claims_and_headers_but_no_secret(setup: Setup) -> None:
    headers = [
        ("X-Forwarded-User", "alice"),
        ("X-Forwarded-User", "second"),
        ("X-Forwarded-Access-Token", "secret-token"),
        ("Authorization", "Bearer secret-bearer"),
        ("Cookie", "app=secret-cookie"),
    ]
    async with setup.session.get(setup.url + "/whoami", headers=headers) as response:
        body, text = await response.json(), await response.text()
    assert body["claims"]["sub"] == "alice-5f0c3b1e"
    assert body["headers"]["X-Forwarded-User"] == ["alice", "second"]
    assert HEADER not in body["headers"]
    assert (body["cookies"], body["authorization"]) == (["app"], "Bearer")
    assert "secret" not in text


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_chat_streams_word_by_word(setup: Setup, method: str) -> None:
    fields = {"m": "good day"}
    async with setup.session.request(
        method,
        setup.url + "/chat",
        params=fields if method == "GET" else None,
        data=fields if method == "POST" else None,
    ) as response:
        assert response.content_type == "text/event-stream"
        events = (await response.text()).split("\n\n")
    assert events[:5] == ["data: Hello", "data: Alice!", "data: You", "data: said:", "data: “good"]
    assert events[-2:] == ["event: done\ndata:", ""]


async def test_the_first_word_comes_before_the_last_is_said(clock: FakeClock) -> None:
    proxy = FakeProxy(clock)
    async with serving(proxy.app) as jwks:
        config = PlaygroundConfig(f"{jwks}/jwks.json", ISSUER, AUDIENCE, word_delay=0.1)
        async with (
            serving(create_playground(config, clock)) as url,
            aiohttp.ClientSession(headers={HEADER: proxy.identity()}) as session,
            session.get(url + "/chat?m=x") as response,
        ):
            assert await response.content.readline() == b"data: Hello\n"
            assert not response.content.at_eof()
        # Leaving in the middle ends the handler too: no_task_left_guard looks.


async def test_the_socket_echoes_text_and_bytes(setup: Setup) -> None:
    async with setup.session.ws_connect(setup.url + "/_event") as socket:
        await socket.send_str("grüezi")
        assert await socket.receive_str(timeout=5) == "grüezi"
        await socket.send_bytes(b"\x00\xff")
        assert await socket.receive_bytes(timeout=5) == b"\x00\xff"


async def test_an_upload_is_measured(setup: Setup) -> None:
    pieces = [bytes([number]) * 100_000 for number in range(30)]

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async with setup.session.post(setup.url + "/_upload", data=body()) as response:
        answer = await response.json()
    whole = b"".join(pieces)
    assert answer == {"size": 3_000_000, "sha256": hashlib.sha256(whole).hexdigest()}


@pytest.mark.parametrize("name", ["playground.css", "playground.js", "icon.svg"])
async def test_assets_are_served(setup: Setup, name: str) -> None:
    async with setup.session.get(f"{setup.url}/assets/{name}") as response:
        assert response.status == 200
