"""One connection pool for each upstream, with the TLS that it is spoken to with."""

from __future__ import annotations

import asyncio
import ssl

from proxy.config.settings import Forwarding
from proxy.config.upstreams import base_path
from proxy.web.client_tls import client_tls
from proxy.wire.origin import Origin
from proxy.wire.pool import Limits, Pool


class Pools:
    """Pools by what a route names: one URL or several, all of one scheme and one path.

    Routes that differ in the path only share their connections.
    """

    def __init__(self, settings: Forwarding) -> None:
        self._settings = settings
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
        )


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
