"""Calls to the provider: no redirects, no cookies, a deadline, a size limit, ten at once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from proxy.config.settings import Provider as ProviderSettings
from proxy.errors import ConfigError, ProviderError, Reason
from proxy.web.metrics import Metrics

LARGEST_ANSWER: Final = 1024 * 1024
_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reply:
    """What came back, whole."""

    status: int
    content_type: str
    body: bytes


class Calls:
    """Makes them, over ``http``, and measures how long they take."""

    def __init__(
        self, settings: ProviderSettings, http: aiohttp.ClientSession, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._http = http
        self._metrics = metrics
        self._slots: dict[str, asyncio.Semaphore] = {}
        # True is the connector's own, that of ca_file; False would verify nothing: never used.
        self._tls: ssl.SSLContext | bool | None = True if settings.ca_file else None
        self._loading = asyncio.Lock()

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
        except (aiohttp.ClientError, OSError) as exc:
            detail = f"{call}: {type(exc).__name__}: {exc}"
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
        tls = await self._authorities() if url.lower().startswith("https:") else True
        async with self._http.request(
            method, url, headers=headers, data=body, allow_redirects=False, ssl=tls
        ) as response:
            chunks, size = [], 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > LARGEST_ANSWER:
                    raise ProviderError(Reason.PROVIDER_ERROR, "the answer is larger than 1 MiB")
                chunks.append(chunk)
            return Reply(response.status, response.content_type or "", b"".join(chunks))

    async def _authorities(self) -> ssl.SSLContext | bool:
        """The system's, read in a thread for the first call: nobody waits for that at start."""
        async with self._loading:
            if self._tls is None:
                self._tls = await asyncio.to_thread(_system_authorities)
        return self._tls


def _system_authorities() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def open_session(settings: ProviderSettings) -> aiohttp.ClientSession:
    """The client for calls to the provider: no cookies, no environment.

    It trusts ``provider.ca_file``, or else nobody: ``Calls`` brings the system's authorities.
    Raises ConfigError when ``provider.ca_file`` cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if settings.ca_file:
            context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError([f"provider.ca_file: {settings.ca_file}: {exc}"]) from exc
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=40),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": "auth-proxy"},
    )
