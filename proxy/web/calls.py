"""Calls to the provider: no redirects, no cookies, a deadline, a size limit, ten at once."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from yarl import URL

from proxy.config.provider import Provider as ProviderSettings
from proxy.errors import ConfigError, ProviderError, Reason
from proxy.web.metrics import Metrics
from proxy.web.provider_tls import ProviderTls

LARGEST_ANSWER: Final = 1024 * 1024
_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reply:
    """What came back, whole."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Calls:
    """Makes them, over ``http``, and measures how long they take.

    Raises ConfigError for files and a proxy that cannot be used.
    """

    def __init__(
        self, settings: ProviderSettings, http: aiohttp.ClientSession, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._http = http
        self._metrics = metrics
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._tls = ProviderTls(settings)
        self._through = _tunnel(settings.https_proxy.reveal())

    async def make(
        self,
        call: str,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """One call, its answer whole. ``call`` names it in metrics and errors.

        Raises ProviderError: PROVIDER_UNREACHABLE, PROVIDER_TIMEOUT (504) or PROVIDER_ERROR.
        """
        given = {"Accept": "application/json", **self._settings.extra_headers, **(headers or {})}
        started = asyncio.get_running_loop().time()
        outcome = "error"
        # For each kind of its own: strangers with made-up codes cannot hold up the rest.
        slots = self._slots.setdefault(call, asyncio.Semaphore(_AT_ONCE))
        try:
            async with asyncio.timeout(self._settings.timeout), slots:
                reply = await self._exchange(method, url, given, body)
            outcome = str(reply.status)
        except TimeoutError as exc:
            detail = f"{call}: no answer in time"
            raise ProviderError(Reason.PROVIDER_TIMEOUT, detail, status=504) from exc
        except aiohttp.ClientHttpProxyError as exc:
            # its own words could repeat what we told it
            detail = f"{call}: https_proxy answered with status {exc.status}"
            raise ProviderError(Reason.PROVIDER_UNREACHABLE, detail) from None
        except ConfigError as exc:
            raise ProviderError(Reason.PROVIDER_UNREACHABLE, f"{call}: {exc}") from exc
        except (aiohttp.ClientError, OSError) as exc:
            detail = f"{call}: {_words(exc)}"
            raise ProviderError(Reason.PROVIDER_UNREACHABLE, detail) from exc
        finally:
            took = asyncio.get_running_loop().time() - started
            self._metrics.called(call, outcome, took)
        if reply.status in (301, 302, 303, 307, 308):
            # A token or secret never follows a redirect (urllib3 and httpx advisories).
            raise ProviderError(Reason.PROVIDER_ERROR, f"{call}: answered with a redirect")
        return reply

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        # Plain http is for this machine and test networks: no proxy would keep it secret.
        secure = url.lower().startswith("https:")
        tls = await self._tls.context() if secure else True
        through = self._through if secure else _DIRECT
        async with self._http.request(
            method, url, headers=headers, data=body, allow_redirects=False, ssl=tls,
            proxy=through.proxy, proxy_headers=through.headers,
        ) as response:  # fmt: skip
            chunks, size = [], 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > LARGEST_ANSWER:
                    raise ProviderError(Reason.PROVIDER_ERROR, "the answer is larger than 1 MiB")
                chunks.append(chunk)
            return Reply(
                response.status, response.content_type or "", b"".join(chunks), response.headers
            )


def _words(exc: aiohttp.ClientError | OSError) -> str:
    """What went wrong, and where. Not what was said: bytes that are no HTTP may be secrets."""
    where = isinstance(exc, OSError)
    return f"{type(exc).__name__}: {exc}" if where else type(exc).__name__


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Tunnel:
    """The proxy that connections are made through (CONNECT, RFC 9110 section 9.3.6), or none."""

    proxy: URL | None = None
    headers: Mapping[str, str] | None = None


_DIRECT: Final = _Tunnel()


def _tunnel(written: str) -> _Tunnel:
    """Raises ConfigError, which never shows the text: it may hold a password."""
    if not written:
        return _DIRECT
    try:
        url = URL(written)
        if url.scheme != "http" or not url.host or url.path != "/" or url.query_string:
            raise ValueError("not http://host:port")
        if not url.raw_user and not url.raw_password:
            return _Tunnel(url)
        pair = base64.b64encode(f"{url.user or ''}:{url.password or ''}".encode()).decode()
        return _Tunnel(url.with_user(None), {"Proxy-Authorization": f"Basic {pair}"})
    except ValueError:
        raise ConfigError(
            ["provider.https_proxy: must be http://host:port, or http://user:password@host:port"]
        ) from None


def open_session() -> aiohttp.ClientSession:
    """The client for calls to all providers: no cookies, no environment.

    It trusts nobody by itself: ``Calls`` brings the authorities, and limits how many calls
    there are at once, so that one provider that hangs takes nothing from the others.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": "auth-proxy"},
    )
