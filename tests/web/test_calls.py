"""Calls to the provider are bounded: in time, in size, in number, and in where they go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from proxy.config.settings import Provider as ProviderSettings
from proxy.errors import ConfigError, ProviderError, Reason
from proxy.web.calls import LARGEST_ANSWER, Calls, open_session
from proxy.web.metrics import Metrics
from tests.fakes.scripted import Step, close, request, until, upstream


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(ProviderSettings()) as http:
        yield http


def calls(http: aiohttp.ClientSession, **settings: object) -> Calls:
    return Calls(ProviderSettings.model_validate(settings), http, Metrics())


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


async def test_an_answer_comes_whole_with_its_type(http: aiohttp.ClientSession) -> None:
    async with upstream([request, OK + b"Content-Length: 2\r\n\r\n{}"]) as scripted:
        reply = await calls(http, extra_headers={"X-Tenant": "a"}).make("keys", "GET", scripted.url)
        assert (reply.status, reply.content_type, reply.body) == (200, "application/json", b"{}")
        (peer,) = scripted.peers
        assert b"X-Tenant: a" in peer.received
        assert b"Cookie" not in peer.received


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(
            b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            Reason.PROVIDER_ERROR,
            id="redirect",
        ),
        pytest.param(
            OK + b"Connection: close\r\n\r\n" + b"x" * (LARGEST_ANSWER + 1),
            Reason.PROVIDER_ERROR,
            id="more than 1 MiB",
        ),
        pytest.param(b"nonsense\r\n\r\n", Reason.PROVIDER_UNREACHABLE, id="not HTTP"),
        pytest.param(
            OK + b"Content-Length: 9\r\n\r\n{}", Reason.PROVIDER_UNREACHABLE, id="cut off"
        ),
    ],
)
async def test_what_is_no_answer(http: aiohttp.ClientSession, said: bytes, reason: Reason) -> None:
    async with upstream([request, said, close]) as scripted:
        with pytest.raises(ProviderError) as refused:
            await calls(http).make("token", "POST", scripted.url, {}, b"code=secret")
        assert refused.value.reason is reason
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "said", [pytest.param(b"", id="nothing at all"), pytest.param(OK, id="half a head")]
)
async def test_silence_ends_at_the_deadline(http: aiohttp.ClientSession, said: bytes) -> None:
    script: list[Step] = [request, said, until(asyncio.Event())]
    async with upstream(script) as scripted:
        with pytest.raises(ProviderError) as refused:
            await calls(http, timeout=0.2).make("userinfo", "GET", scripted.url)
        assert (refused.value.reason, refused.value.status) == (Reason.PROVIDER_TIMEOUT, 504)


async def test_nobody_listens(http: aiohttp.ClientSession) -> None:
    with pytest.raises(ProviderError) as refused:
        await calls(http).make("metadata", "GET", "http://127.0.0.1:1/")
    assert refused.value.reason is Reason.PROVIDER_UNREACHABLE


async def test_an_unusable_file_of_authorities_is_named() -> None:
    with pytest.raises(ConfigError, match=r"provider\.ca_file"):
        open_session(ProviderSettings(ca_file="/nowhere/ca.pem"))
