"""Calls to the provider are bounded: in time, in size, in number, and in where they go."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from proxy.config.provider import Provider as ProviderSettings
from proxy.errors import ConfigError, ProviderError, Reason
from proxy.web.calls import LARGEST_ANSWER, Calls, open_session
from proxy.web.metrics import Metrics
from tests.fakes.authority import Authority
from tests.fakes.scripted import Peer, Step, close, request, until, upstream
from tests.fakes.tunnel import tunnel


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as http:
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
        pytest.param(b"secret nonsense\r\n\r\n", Reason.PROVIDER_UNREACHABLE, id="not HTTP"),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\n\r\nsecret\r\n",
            Reason.PROVIDER_UNREACHABLE,
            id="no chunk",
        ),
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


@pytest.mark.parametrize("option", ["ca_file", "tls_certificate_file"])
async def test_an_unusable_file_is_named(http: aiohttp.ClientSession, option: str) -> None:
    with pytest.raises(ConfigError, match=rf"provider\.{option}: /nowhere/x\.pem"):
        calls(http, **{option: "/nowhere/x.pem"})


GOOD = OK + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.mark.parametrize("by", ["system", "ca_file"])
async def test_a_provider_is_believed_by_the_authorities_of(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")
    monkeypatch.setenv("SSL_CERT_FILE", str((ours if by == "system" else others).file))
    settings = ProviderSettings(ca_file=str(ours.file) if by == "ca_file" else "")
    async with (
        open_session() as http,
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
    async with open_session() as http, upstream([request, GOOD], tls=tls) as scripted:
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


async def test_each_provider_has_authorities_of_its_own_on_one_client(tmp_path: Path) -> None:
    one, other = Authority(tmp_path, "one"), Authority(tmp_path, "other")
    async with (
        open_session() as http,
        upstream([request, GOOD], tls=one.server("localhost")) as scripted,
    ):
        url = f"https://localhost:{scripted.port}/"
        ours, theirs = (calls(http, ca_file=str(each.file)) for each in (one, other))
        assert (await ours.make("keys", "GET", url)).status == 200
        with pytest.raises(ProviderError):
            await theirs.make("keys", "GET", url)
        assert (await ours.make("keys", "GET", url)).status == 200


async def test_the_provider_is_shown_our_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = map(str, authority.issue("proxy.example.org"))
    tls = authority.server("localhost", clients=True)
    settings = {"ca_file": str(authority.file)}
    async with open_session() as http, upstream([request, GOOD], tls=tls) as scripted:
        url = f"https://localhost:{scripted.port}/"
        with_it = calls(http, **settings, tls_certificate_file=certificate, tls_key_file=key)
        assert (await with_it.make("token", "POST", url, body=b"code=c")).status == 200
        shown = scripted.peers[0].writer.get_extra_info("peercert")
        assert shown["subject"] == ((("commonName", "proxy.example.org"),),)
        with pytest.raises(ProviderError):
            await calls(http, **settings).make("token", "POST", url)


TUNNEL_REFUSES = b"HTTP/1.1 %d user:pass\r\nContent-Length: 0\r\nX-Secret: pass\r\n\r\n"


async def test_the_way_through_a_proxy_is_tls_from_end_to_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    credentials = "us er:p@ss/wörd:1"
    written = "us%20er:p%40ss%2Fw%C3%B6rd%3A1"
    async with (
        tunnel(credentials) as proxy,
        open_session() as http,
        upstream([request, GOOD], tls=authority.server("localhost")) as scripted,
    ):
        through = f"http://{written}@127.0.0.1:{proxy.port}"
        made = calls(http, ca_file=str(authority.file), https_proxy=through)
        url = f"https://localhost:{scripted.port}/token"
        headers = {"Authorization": "Basic secret-of-the-client"}
        reply = await made.make("token", "POST", url, headers, b"code=secret-code")
        assert reply.body == b"{}"
        (asked,) = proxy.asked
        assert asked.startswith(f"CONNECT localhost:{scripted.port} HTTP/1.1\r\n".encode())
        assert b"secret-of-the-client" not in asked
        assert b"secret" not in proxy.carried
        received = bytes(scripted.peers[0].received)
        assert b"secret-of-the-client" in received
        assert b"Proxy-Authorization" not in received


async def test_a_proxy_proves_nothing_about_the_provider(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")
    async with (
        tunnel() as proxy,
        open_session() as http,
        upstream([request, GOOD], tls=others.server("localhost")) as scripted,
    ):
        made = calls(http, ca_file=str(ours.file), https_proxy=proxy.url)
        with pytest.raises(ProviderError) as refused:
            await made.make("token", "POST", f"https://localhost:{scripted.port}/", body=b"secret")
        assert refused.value.reason is Reason.PROVIDER_UNREACHABLE
        assert "certificate" in refused.value.detail
        assert not scripted.peers[0].received if scripted.peers else True


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        pytest.param(b"", Reason.PROVIDER_UNREACHABLE, id="407: not our password"),
        pytest.param(TUNNEL_REFUSES % 403, Reason.PROVIDER_UNREACHABLE, id="403"),
        pytest.param(TUNNEL_REFUSES % 502, Reason.PROVIDER_UNREACHABLE, id="502"),
        pytest.param(TUNNEL_REFUSES % 302, Reason.PROVIDER_UNREACHABLE, id="a redirect"),
        pytest.param(b"user:pass\r\n\r\n", Reason.PROVIDER_UNREACHABLE, id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", Reason.PROVIDER_TIMEOUT, id="half an answer"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n\r\nuser:pass is no TLS", Reason.PROVIDER_TIMEOUT, id="no TLS"
        ),
    ],
)
async def test_a_proxy_that_does_not_connect_us(
    http: aiohttp.ClientSession, says: bytes, reason: Reason
) -> None:
    async with tunnel("another:password", says) as proxy:
        through = f"http://user:pass@127.0.0.1:{proxy.port}"
        made = calls(http, https_proxy=through, timeout=0.5)
        with pytest.raises(ProviderError) as refused:
            await made.make("metadata", "GET", "https://localhost:1/")
        assert refused.value.reason is reason
        for secret in ("user", "pass", "dXNlcjpwYXNz"):
            assert secret not in str(refused.value)
        assert len(proxy.asked) == 1


async def test_a_proxy_that_is_not_there_is_named_without_its_password(
    http: aiohttp.ClientSession,
) -> None:
    made = calls(http, https_proxy="http://user:hunter2@127.0.0.1:1")
    with pytest.raises(ProviderError) as refused:
        await made.make("metadata", "GET", "https://localhost:1/")
    assert "127.0.0.1:1" in refused.value.detail
    assert "hunter2" not in str(refused.value)


async def test_plain_http_to_this_machine_goes_past_the_proxy(http: aiohttp.ClientSession) -> None:
    async with tunnel() as proxy, upstream([request, GOOD]) as scripted:
        made = calls(http, https_proxy=proxy.url)
        assert (await made.make("keys", "GET", scripted.url)).status == 200
        assert proxy.asked == []


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("https://user:hunter2@proxy:3128", id="TLS in TLS"),
        pytest.param("socks5://user:hunter2@proxy:1080", id="SOCKS"),
        pytest.param("user:hunter2@proxy:3128", id="no scheme"),
        pytest.param("http://user:hunter2@proxy:x", id="a bad port"),
        pytest.param("http://user:hunter2@proxy/path", id="a path"),
        pytest.param("http://user:hunter2@", id="no host"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_refused_unseen(
    http: aiohttp.ClientSession, written: str
) -> None:
    with pytest.raises(ConfigError, match=r"provider\.https_proxy") as refused:
        calls(http, https_proxy=written)
    assert "hunter2" not in str(refused.value)


async def test_the_environment_names_no_proxy(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tunnel() as proxy, upstream([request, GOOD]) as scripted:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await calls(http).make("keys", "GET", scripted.url)).status == 200
        with pytest.raises(ProviderError):
            await calls(http).make("keys", "GET", "https://127.0.0.1:1/")
        assert proxy.asked == []


async def test_one_provider_that_hangs_takes_nothing_from_another(
    http: aiohttp.ClientSession,
) -> None:
    come, all_come = Counter[str](), asyncio.Event()

    async def count(peer: Peer) -> None:
        come["connections"] += 1
        if come["connections"] == 60:
            all_come.set()

    script: list[Step] = [request, count, until(asyncio.Event())]
    async with upstream(script) as hanging, upstream([request, GOOD]) as good:
        stuck = calls(http, timeout=30)
        kinds = ("token", "refresh", "userinfo", "push", "revoke", "keys")
        tasks = [
            asyncio.ensure_future(stuck.make(kind, "GET", hanging.url))
            for kind in kinds
            for _ in range(10)
        ]
        await all_come.wait()
        assert (await calls(http, timeout=5).make("token", "GET", good.url)).status == 200
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
