"""A request that was let through → its upstream, and the answer back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from proxy.errors import BadRequest, ProxyError, Reason
from proxy.model import Kind
from proxy.rules.headers import Header, forwarded
from proxy.rules.routes import Route
from proxy.session.cookies import write
from proxy.web.client import Sent, connection_of, read_body
from proxy.web.exchange import Authorizations
from proxy.web.mint import Mint
from proxy.web.pools import Pools, own_url
from proxy.web.runtime import Runtime
from proxy.web.sessions import Minted, Opened
from proxy.web.streams import POLICY, Streams
from proxy.web.visit import Visit
from proxy.wire.addresses import Tell
from proxy.wire.forward import BrokenResponse, forward
from proxy.wire.http1 import header_block, read_block, request_line, status_line
from proxy.wire.message import Exchanged, Render, RequestHead, ResponseHead
from proxy.wire.pool import Pool
from proxy.wire.tunnel import Tunnel, Upgraded, upgrade

_REQUEST_ID = b"X-Request-Id: "
_SHARED = (b"public", b"max-age", b"s-maxage", b"immutable", b"revalidate")
_SHARED_HEADERS = frozenset(
    {b"expires", b"cdn-cache-control", b"surrogate-control", b"last-modified", b"age"}
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan:
    """Where a request goes, and its header lines but for ours; a pure function of its bytes."""

    pool: Pool
    method: bytes
    path: bytes
    block: bytes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prepared:
    """A request as the upstream shall see it, where it goes, and what the client gets back."""

    pool: Pool
    head: RequestHead
    render: Render


@dataclass(slots=True)
class Returned:
    """A response's lines, as routes to ``route`` return them.

    ``end`` is what follows the request id when the body's length is known and the connection stays.
    """

    route: Route | None
    lines: bytes
    end: bytes = b""


class Upstreams:
    """One connection pool for each origin that a route names."""

    def __init__(
        self,
        runtime: Runtime,
        mint: Mint,
        authorizations: Authorizations,
        streams: Streams,
        has_ended: Callable[[str], bool],
        clock: Callable[[], float],
        tell: Tell,
    ) -> None:
        self._runtime = runtime
        self._mint = mint
        self._authorizations = authorizations
        self._streams = streams
        self._has_ended = has_ended
        self._clock = clock
        self._pools = Pools(runtime.settings.forwarding, tell)

    def plan(self, visit: Visit, route: Route, block: bytes = b"") -> Plan:
        """Where a request goes, and how it begins; ``block`` as below, where it is known."""
        target = visit.goal
        pool, base, _ = self._pools.get(route.upstream)
        path = base + route.rewritten(target.raw_path)
        if target.query:
            path = f"{path}?{target.query}"
        block = block or self.block(visit, route)
        return Plan(pool, target.method.encode(), path.encode(), block)

    def block(self, visit: Visit, route: Route) -> bytes:
        """The client's header lines as the upstream gets them, whatever the path."""
        headers, target, trust = visit.request.headers, visit.goal, self._runtime.trust
        authorization = "keep" if visit.passthrough else route.authorization
        if visit.hides_authorization and authorization == "keep":
            authorization = "strip"
        known = forwarded(target, headers, visit.peer, trust.trusts(visit.peer))
        host = target.host.encode() if route.preserve_host else self._pools.get(route.upstream)[2]
        kept = self._runtime.headers.outgoing(headers, authorization, known)
        return header_block([(b"Host", host), *kept])

    def minted(self, opened: Opened, route: Route, now: float) -> Minted:
        """What says on this route who it is.

        Raises ProxyError where that cannot be said: the session is ending, or Authorization is
        the person's own there and not at hand.
        """
        minted = self._mint.identity(opened, route.audience, now)
        if not route.brings_own:
            return minted
        held = self._authorizations.at_hand(route, opened, now)
        if held is None:
            raise ProxyError(Reason.EXCHANGE_FAILED, "the token is not at hand", status=503)
        return minted.with_authorization(held.value, held.until)

    def before(self, plan: Plan) -> bytes:
        """The upstream's head, up to the request id."""
        return b"%b%b%b" % (request_line(plan.method, plan.path), plan.block, _REQUEST_ID)

    def after(self, route: Route, minted: Minted | None) -> bytes:
        """What follows the request id, but for framing and the empty line."""
        if minted is None:
            return b"\r\n"
        brings = route.authorization == "replace" or route.brings_own
        return b"\r\n" + (minted.with_bearer if brings else minted.block)

    def returned(self, head: ResponseHead, route: Route | None) -> Returned:
        """The first line and the upstream's header lines as the client gets them; remembered."""
        if isinstance(head.memo, Returned) and head.memo.route is route:
            return head.memo
        lines = status_line(head) + header_block(self._incoming(head, route))
        head.memo = known = Returned(route, lines + _REQUEST_ID)
        return known

    def _incoming(self, head: ResponseHead, route: Route | None) -> list[Header]:
        headers = self._runtime.headers.incoming(head.headers)
        if route is not None and not route.preserve_host:
            headers = _local_redirects(headers, own_url(route.upstream))
        return headers

    def _prepare(self, visit: Visit, route: Route, opened: Opened | None) -> Prepared:
        """What goes to the upstream for a request that was let through, and what returns."""
        plan = self.plan(visit, route)
        minted = self.minted(opened, route, visit.now) if opened is not None else None
        ours = b"%b%b%b" % (_REQUEST_ID, visit.id.encode(), self.after(route, minted))
        head = RequestHead(plan.method, plan.path, (), plan.block + ours)
        return Prepared(plan.pool, head, self._render(visit, route, opened))

    async def send(self, visit: Visit, route: Route, opened: Opened | None) -> web.StreamResponse:
        """Forward, with ``opened``'s identity or with none; streams both ways.

        Raises UpstreamError while nothing has been answered yet, BadRequest for a body that
        is too large or broken, ProxyError where the route's Authorization is not to be had.
        """
        if opened is not None and route.brings_own:
            await self._bring(visit, route, opened)
        to, connection = self._prepare(visit, route, opened), connection_of(visit)
        if visit.goal.kind is Kind.WEBSOCKET:
            return await self._websocket(visit, opened, to)
        largest = self._runtime.settings.server.max_body_size
        body = read_body(visit, largest, to.pool.limits.idle_timeout)
        try:
            done = await forward(to.pool, to.head, body, connection, to.render)
        except (BrokenResponse, ConnectionError):
            connection.abort()
            raise
        except BadRequest:
            if connection.started:
                connection.abort()
            raise
        return self._sent(visit, done)

    async def _bring(self, visit: Visit, route: Route, opened: Opened) -> None:
        """Have the person's own Authorization at hand."""
        await self._authorizations.authorization(route, opened, visit.now)
        if self._has_ended(opened.session.id):
            raise ProxyError(Reason.NO_SESSION, "the session has ended meanwhile", status=401)

    def _sent(self, visit: Visit, done: Exchanged) -> web.StreamResponse:
        visit.sent = done.sent
        return Sent(done.status, reusable=done.reusable)

    def _render(
        self, visit: Visit, route: Route, opened: Opened | None
    ) -> Callable[[ResponseHead], list[Header]]:
        def render(head: ResponseHead) -> list[Header]:
            headers = self._incoming(head, route)
            # A response that shared caches may keep must not carry somebody's cookie, and one
            # that comes after the sign-out must not bring the session back.
            over = opened is not None and self._has_ended(opened.session.id)
            if visit.cookies and not over and not _shareable(headers):
                headers += [(b"Set-Cookie", write(c).encode()) for c in visit.cookies]
            headers.append((b"X-Request-Id", visit.id.encode()))
            return headers

        return render

    async def _websocket(
        self, visit: Visit, opened: Opened | None, to: Prepared
    ) -> web.StreamResponse:
        if visit.request.length != 0:
            raise BadRequest(Reason.BAD_HEADER, "a WebSocket handshake has no body")
        # The handshake is checked against the client's key, so the lines stay apart here.
        head = RequestHead(to.head.method, to.head.target, read_block(to.head.block))
        done = await upgrade(to.pool, head, connection_of(visit), to.render)
        if isinstance(done, Exchanged):
            return self._sent(visit, done)
        await self._tunnel(visit, opened, done)
        return Sent(101, reusable=False)

    async def _tunnel(self, visit: Visit, opened: Opened | None, done: Upgraded) -> None:
        """Move bytes until either end closes, or the session ends."""
        connection = connection_of(visit)
        loop = asyncio.get_running_loop()
        tunnel = Tunnel(connection.transport, done)
        tunnel.start(connection.hand_over())  # frames that came with the handshake
        session = opened.session if opened else None
        timer = None
        if session is not None:
            left = max(0.0, session.expires_at - self._clock())
            timer = loop.call_later(left, tunnel.end, POLICY, "session ended")
        self._streams.add(session, tunnel)
        if session is not None and self._has_ended(session.id):
            tunnel.end(POLICY, "session ended")  # during the handshake
        try:
            await tunnel.closed()
        finally:
            if timer is not None:
                timer.cancel()
            self._streams.remove(tunnel)
            visit.sent = tunnel.bytes_out
            # The transport was taken from the connection, which must still learn of its end.
            loop.call_soon(connection.connection_lost, None)

    async def close(self) -> None:
        """Close every connection."""
        await self._authorizations.close()
        await self._pools.close()


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
