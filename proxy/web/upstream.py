"""A request that was let through → its upstream, and the answer back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web

from proxy.config.settings import Forwarding
from proxy.errors import BadRequest, ConfigError, Reason
from proxy.model import Kind
from proxy.rules.headers import Header, forwarded
from proxy.rules.routes import Route
from proxy.session.cookies import write
from proxy.web.client import Client, Sent, read_body
from proxy.web.mint import Mint
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened
from proxy.web.streams import POLICY, Streams
from proxy.web.visit import Visit
from proxy.wire.forward import BrokenResponse, forward
from proxy.wire.message import Exchanged, RequestHead, ResponseHead
from proxy.wire.pool import Limits, Origin, Pool
from proxy.wire.tunnel import Tunnel, Upgraded, upgrade

_SHARED = (b"public", b"max-age", b"s-maxage", b"immutable", b"revalidate")
_SHARED_HEADERS = frozenset(
    {b"expires", b"cdn-cache-control", b"surrogate-control", b"last-modified", b"age"}
)


class Upstreams:
    """One connection pool for each origin that a route names."""

    def __init__(
        self,
        runtime: Runtime,
        mint: Mint,
        streams: Streams,
        has_ended: Callable[[str], bool],
        clock: Callable[[], float],
        draining: Callable[[], bool],
    ) -> None:
        self._runtime = runtime
        self._mint = mint
        self._streams = streams
        self._has_ended = has_ended
        self._clock = clock
        self._draining = draining
        self._limits = _limits(runtime.settings.forwarding)
        self._tls: ssl.SSLContext | None = None
        self._pools: dict[str, tuple[Pool, str, bytes]] = {}

    def _pool(self, upstream: str) -> tuple[Pool, str, bytes]:
        """The pool of an upstream URL, the path in front of everything, and its own Host."""
        found = self._pools.get(upstream)
        if found is None:
            parts = urlsplit(upstream)
            if parts.scheme == "https" and self._tls is None:
                self._tls = client_tls(self._runtime.settings.forwarding)
            context = self._tls if parts.scheme == "https" else None
            loop = asyncio.get_running_loop()
            pool = Pool(Origin.parse(upstream), self._limits, context, loop.time)
            found = self._pools[upstream] = (pool, parts.path, parts.netloc.encode())
        return found

    async def send(self, visit: Visit, route: Route, opened: Opened | None) -> web.StreamResponse:
        """Forward, with ``opened``'s identity or with none; streams both ways.

        Raises UpstreamError while nothing has been answered yet, BadRequest for a body that
        is too large or broken.
        """
        request, target = visit.request, visit.goal
        keep_authorization = "keep" if visit.passthrough else route.authorization
        added, host = self._added(visit, route, opened)
        headers = self._runtime.headers.outgoing(request.raw_headers, keep_authorization, added)
        pool, base, own_host = self._pool(route.upstream)
        path = base + route.rewritten(target.raw_path)
        if target.query:
            path = f"{path}?{target.query}"
        headers.insert(0, (b"Host", host if route.preserve_host else own_host))
        head = RequestHead(target.method.encode(), path.encode(), headers)
        client = Client(request, self._draining, self._limits.idle_timeout)
        render = self._render(visit, route, opened)
        if target.kind is Kind.WEBSOCKET:
            return await self._websocket(visit, opened, pool, head, client, render)
        body = read_body(request, client, self._runtime.settings.server.max_body_size)
        try:
            done = await forward(pool, head, body, client, render)
        except (BrokenResponse, ConnectionError):
            client.abort()
            raise
        except BadRequest:
            if client.started:
                client.abort()
            raise
        return self._sent(visit, done)

    def _sent(self, visit: Visit, done: Exchanged) -> web.StreamResponse:
        visit.sent = done.sent
        return Sent(done.status, reusable=done.reusable)

    def _added(
        self, visit: Visit, route: Route, opened: Opened | None
    ) -> tuple[list[Header], bytes]:
        target, trust = visit.goal, self._runtime.trust
        trusted = trust.trusts(visit.peer)
        added = forwarded(target, visit.request.raw_headers, visit.peer, trusted)
        added.append((b"X-Request-Id", visit.id.encode()))
        if opened is not None:
            minted = self._mint.identity(opened, route.audience, visit.now)
            added.extend(minted.headers)
            if route.authorization == "replace":
                added.append((b"Authorization", b"Bearer " + minted.jwt.encode()))
        return added, target.host.encode()

    def _render(
        self, visit: Visit, route: Route, opened: Opened | None
    ) -> Callable[[ResponseHead], list[Header]]:
        def render(head: ResponseHead) -> list[Header]:
            headers = self._runtime.headers.incoming(head.headers)
            if not route.preserve_host:
                headers = _local_redirects(headers, route.upstream.encode())
            # A response that shared caches may keep must not carry somebody's cookie, and one
            # that comes after the sign-out must not bring the session back.
            over = opened is not None and self._has_ended(opened.session.id)
            if visit.cookies and not over and not _shareable(headers):
                headers += [(b"Set-Cookie", write(c).encode()) for c in visit.cookies]
            headers.append((b"X-Request-Id", visit.id.encode()))
            return headers

        return render

    async def _websocket(
        self,
        visit: Visit,
        opened: Opened | None,
        pool: Pool,
        head: RequestHead,
        client: Client,
        render: Callable[[ResponseHead], list[Header]],
    ) -> web.StreamResponse:
        request = visit.request
        if request.body_exists:
            raise BadRequest(Reason.BAD_HEADER, "a WebSocket handshake has no body")
        done = await upgrade(pool, head, client, render)
        if isinstance(done, Exchanged):
            return self._sent(visit, done)
        await self._tunnel(visit, opened, done)
        return Sent(101, reusable=False)

    async def _tunnel(self, visit: Visit, opened: Opened | None, done: Upgraded) -> None:
        """Move bytes until either end closes, or the session ends."""
        protocol, transport = visit.request.protocol, visit.request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        loop = asyncio.get_running_loop()
        early = protocol._message_tail  # frames that came with the handshake
        tunnel = Tunnel(transport, done)
        tunnel.start(bytes(early))
        session = opened.session if opened else None
        key = session.id if session else ""
        timer = None
        if session is not None:
            left = max(0.0, session.expires_at - self._clock())
            timer = loop.call_later(left, tunnel.end, POLICY, "session ended")
        self._streams.add(key, tunnel)
        if session is not None and self._has_ended(session.id):
            tunnel.end(POLICY, "session ended")  # during the handshake
        try:
            await tunnel.closed()
        finally:
            if timer is not None:
                timer.cancel()
            self._streams.remove(key, tunnel)
            visit.sent = tunnel.bytes_out
            # The transport was taken from aiohttp, which must still learn of its end.
            loop.call_soon(protocol.connection_lost, None)

    async def close(self) -> None:
        """Close every idle connection."""
        for pool, _, _ in self._pools.values():
            await pool.close()


def _limits(settings: Forwarding) -> Limits:
    return Limits(
        connect_timeout=settings.connect_timeout,
        response_timeout=settings.response_timeout,
        idle_timeout=settings.idle_timeout,
        queue_timeout=settings.queue_timeout,
        keepalive=settings.keepalive,
        max_connections=settings.max_connections,
    )


def client_tls(settings: Forwarding) -> ssl.SSLContext:
    """TLS towards upstreams: verified, against the system's or the configured authorities.

    Raises ConfigError when the file of authorities cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError([f"forwarding.ca_file: {settings.ca_file}: {exc}"]) from exc
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _local_redirects(headers: list[Header], origin: bytes) -> list[Header]:
    """An upstream that is told its own Host redirects to itself: make such redirects ours."""
    found = []
    for name, value in headers:
        if name.lower() == b"location" and value.startswith(origin + b"/"):
            value = value[len(origin) :]
        found.append((name, value))
    return found


def _shareable(headers: list[Header]) -> bool:
    """May a shared cache keep the response (RFC 9111 section 3)? In doubt it may."""
    control = b",".join(v.lower() for n, v in headers if n.lower() == b"cache-control")
    if b"private" in control or b"no-store" in control:
        return False
    return any(word in control for word in _SHARED) or any(
        name.lower() in _SHARED_HEADERS for name, _ in headers
    )
