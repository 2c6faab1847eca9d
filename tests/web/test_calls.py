"""Calls to the provider are bounded: in time, in size, in number, and in where they go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from proxy.config.settings import Provider as ProviderSettings
from proxy.errors import ConfigError, ProviderError, Reason
from proxy.web.calls import LARGEST_ANSWER, Calls, open_session
from proxy.web.metrics import Metrics
from tests.fakes.authority import Authority
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


GOOD = OK + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.mark.parametrize("by", ["system", "ca_file"])
async def test_a_provider_is_believed_by_the_authorities_of(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")
    monkeypatch.setenv("SSL_CERT_FILE", str((ours if by == "system" else others).file))
    settings = ProviderSettings(ca_file=str(ours.file) if by == "ca_file" else "")
    async with (
        open_session(settings) as http,
        upstream([request, GOOD], [request, GOOD], tls=ours.server("localhost")) as scripted,
    ):
        made = Calls(settings, http, Metrics())
        url = f"https://localhost:{scripted.port}/"
        replies = await asyncio.gather(*(made.make("keys", "GET", url) for _ in range(2)))
        assert [reply.body for reply in replies] == [b"{}", b"{}"]


@pytest.mark.parametrize(
    ("names", "signed_by_ours"),
    [
        pytest.param(("localhost",), False, id="signed by a stranger"),
        pytest.param(("example.org",), True, id="another name"),
    ],
)
async def test_a_provider_is_not_believed(
    names: tuple[str, ...], signed_by_ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.file))
    settings = ProviderSettings()
    tls = (ours if signed_by_ours else others).server(*names)
    async with open_session(settings) as http, upstream([request, GOOD], tls=tls) as scripted:
        made = Calls(settings, http, Metrics())
        with pytest.raises(ProviderError) as refused:
            await made.make("token", "POST", f"https://localhost:{scripted.port}/", body=b"secret")
        assert refused.value.reason is Reason.PROVIDER_UNREACHABLE
        assert "certificate" in refused.value.detail


async def test_the_client_alone_trusts_nobody(
    http: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with upstream([request, GOOD], tls=authority.server("localhost")) as scripted:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get(f"https://localhost:{scripted.port}/")
