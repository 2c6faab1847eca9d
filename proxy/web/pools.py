"""One connection pool for each upstream, with the TLS that it is spoken to with."""

from __future__ import annotations

import asyncio
import ssl

from proxy.config.settings import Forwarding
from proxy.config.types import show_duration
from proxy.config.upstreams import base_path
from proxy.web.client_tls import client_tls
from proxy.web.log import Log
from proxy.web.metrics import Metrics
from proxy.wire.addresses import Address, Tell
from proxy.wire.origin import Origin
from proxy.wire.pool import Limits, Pool


class Pools:
    """Pools by what a route names: one URL or several, all of one scheme and one path.

    Routes that differ in the path only share their connections. ``tell`` hears of addresses
    that begin to fail, and of those that are back.
    """

    def __init__(self, settings: Forwarding, tell: Tell = lambda address, reason: None) -> None:
        self._settings = settings
        self._tell = tell
        self._limits = limits(settings)
        self._tls: ssl.SSLContext | None = None
        self._pools: dict[tuple[Origin, ...], Pool] = {}
        self._found: dict[tuple[str, ...], tuple[Pool, str, bytes]] = {}

    def get(self, upstream: tuple[str, ...]) -> tuple[Pool, str, bytes]:
        """The pool, the path that goes in front of everything, and the upstream's own Host.

        Several addresses are one upstream, which is told the first one's Host.
        """
        found = self._found.get(upstream)
        if found is None:
            found = self._found[upstream] = self._make(upstream)
        return found

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.close()

    def _make(self, upstream: tuple[str, ...]) -> tuple[Pool, str, bytes]:
        origins = tuple(Origin.parse(url) for url in upstream)
        pool = self._pools.get(origins)
        if pool is None:
            pool = self._pools[origins] = self._open(*origins)
        return pool, base_path(upstream[0]), pool.origin.authority.encode()

    def _open(self, first: Origin, *others: Origin) -> Pool:
        context = None
        if first.scheme == "https":
            context = self._tls = self._tls or client_tls(self._settings)
        return Pool(
            first,
            self._limits,
            context,
            asyncio.get_running_loop().time,
            others=others,
            server_name=self._settings.server_name,
            tell=self._tell,
        )


def teller(log: Log, metrics: Metrics) -> Tell:
    """Writes and counts which address of an upstream is left out, and writes that it is back."""

    def tell(address: Address, reason: str) -> None:
        if not reason:
            log.event("info", f"upstream {address} is back")
            return
        metrics.eject()
        pause = show_duration(address.pause)
        log.event("warning", f"upstream {address} is left out for {pause}: {reason}")

    return tell


def own_url(upstream: tuple[str, ...]) -> bytes:
    """How an upstream that is told its own Host calls itself: its redirects begin so."""
    origin = Origin.parse(upstream[0])
    return f"{origin.scheme}://{origin.authority}{base_path(upstream[0])}".encode()


def limits(settings: Forwarding) -> Limits:
    """What the settings allow each upstream."""
    return Limits(
        connect_timeout=settings.connect_timeout,
        response_timeout=settings.response_timeout,
        idle_timeout=settings.idle_timeout,
        queue_timeout=settings.queue_timeout,
        keepalive=settings.keepalive,
        max_connections=settings.max_connections,
        max_lifetime=settings.max_lifetime,
        dns_ttl=settings.dns_ttl,
    )
