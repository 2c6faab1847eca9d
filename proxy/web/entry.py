"""Every request: read → match → identify → decide → act → tell. Steps of house order, once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import HttpVersion10, HttpVersion11, web

from proxy.config.settings import Access
from proxy.errors import BadRequest, ProxyError, Reason
from proxy.model import Kind
from proxy.rules.gate import (
    Forward,
    Login,
    Refresh,
    Refuse,
    Verdict,
    decide,
    passes_through,
)
from proxy.rules.routes import Endpoint, Route
from proxy.rules.target import check_host, read_target
from proxy.session.cookies import single
from proxy.web.client import Sent
from proxy.web.log import plain_path
from proxy.web.parts import Parts
from proxy.web.sessions import Opened
from proxy.web.visit import Visit
from proxy.wire.forward import BrokenResponse

Handler = Callable[[Visit], Awaitable[web.StreamResponse]]

_METHODS: Final = {
    Endpoint.SIGN_OUT: frozenset({"GET", "POST"}),
    Endpoint.CALLBACK: frozenset({"GET"}),  # a HEAD would use up the code
}
_READ: Final = frozenset({"GET", "HEAD"})
_VERSIONS: Final = frozenset({HttpVersion10, HttpVersion11})
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Machines ask these by internal names: healthchecks, forward-auth, upstreams that want the keys.
# And the clothes of the page that tells people of the right name.
_ANY_HOST: Final = frozenset(
    {Endpoint.PING, Endpoint.READY, Endpoint.AUTH, Endpoint.JWKS, Endpoint.STATIC}
)


class Entry:
    """Answers requests. ``parts`` holds everything that it acts through."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._runtime = parts.runtime
        self._limits = parts.runtime.settings.server
        self._endpoints: dict[Endpoint, Handler] = {
            Endpoint.PING: parts.status.ping,
            Endpoint.READY: parts.status.ready,
            Endpoint.JWKS: parts.status.jwks,
            Endpoint.SIGN_OUT: parts.logout.sign_out,
            Endpoint.SIGNED_OUT: parts.logout.signed_out,
            Endpoint.AUTH: parts.auth.auth,
            Endpoint.USERINFO: parts.auth.userinfo,
            Endpoint.IDENTITY: parts.auth.identity,
            Endpoint.STATIC: self._static,
        }
        if parts.login is not None:
            self._endpoints[Endpoint.START] = parts.login.start
            self._endpoints[Endpoint.CALLBACK] = parts.login.callback
            self._endpoints[Endpoint.SIGN_IN] = parts.login.sign_in_page

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, whatever it is; never raises but for a client that has gone."""
        parts, loop = self._parts, asyncio.get_running_loop()
        started = loop.time()
        visit = Visit(request, self._request_id(request), parts.clock(), _peer(request))
        parts.begin(request.protocol)
        status = 499
        try:
            response = await self._answer(visit)
            status = response.status
            if parts.draining:
                response.force_close()
            return response
        except BrokenResponse as exc:
            visit.reason, visit.sent = exc.error.reason, exc.sent
            parts.log.event("warning", f"response cut: {exc.error}", {"request_id": visit.id})
            return self._gone()
        except ConnectionError:
            return self._gone()
        finally:
            parts.end(request.protocol)
            self._tell(visit, status, loop.time() - started)

    def unreadable(self, request: web.BaseRequest, status: int, reason: Reason) -> str:
        """Tell of a request that was refused before it could be read; returns its id."""
        visit = Visit(request, self._parts.request_id(), self._parts.clock(), _peer(request))
        visit.reason = reason
        self._parts.metrics.refused.labels(str(reason)).inc()
        self._tell(visit, status, 0.0)
        return visit.id

    def _request_id(self, request: web.BaseRequest) -> str:
        """A trusted hop's own id, so that its log and ours tell of one request; else a new one."""
        given = request.headers.get("X-Request-Id", "")
        if given and _REQUEST_ID.fullmatch(given) and self._runtime.trust.trusts(_peer(request)):
            return given
        return self._parts.request_id()

    async def _answer(self, visit: Visit) -> web.StreamResponse:
        try:
            self._read(visit)
            return await self._act(visit)
        except BrokenResponse:
            raise
        except ProxyError as exc:
            return self._failed(visit, exc)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as exc:  # fail closed, under an id that the log explains
            self._parts.log.exception(exc, visit.id)
            return self._parts.answers.refuse(visit, 500, Reason.INTERNAL)

    def _read(self, visit: Visit) -> None:
        """Fill in the visit's target and cookies. Raises BadRequest."""
        request = visit.request
        if request.version not in _VERSIONS:
            raise BadRequest(Reason.BAD_TARGET, "neither HTTP/1.1 nor HTTP/1.0", status=505)
        raw = request.raw_headers
        total = sum(len(name) + len(value) + 4 for name, value in raw)
        if len(raw) > self._limits.max_headers or total > self._limits.max_header_size:
            raise BadRequest(Reason.TOO_LARGE, f"{len(raw)} headers, {total} bytes", status=431)
        if len(request.raw_path) > self._limits.max_url_size:
            raise BadRequest(Reason.TOO_LARGE, "request target", status=414)
        visit.target = read_target(
            request.method, request.raw_path, raw, visit.peer, self._runtime.trust
        )
        visit.read_cookies()

    async def _act(self, visit: Visit) -> web.StreamResponse:
        target = visit.goal
        endpoint = self._endpoint(visit)
        if endpoint not in _ANY_HOST:
            check_host(target, self._runtime.trust)
        if endpoint is not None:
            return await self._own(visit, endpoint)
        route = self._runtime.routes.match(target.path, target.method)
        if route is None:
            raise BadRequest(Reason.NOT_FOUND, status=404)
        if route.access is not Access.REQUIRED and ";" in target.path:
            # Some servers read /open/..;/closed as /closed: never on a path that is open.
            raise BadRequest(Reason.BAD_TARGET, "path parameter on an open route")
        return await self._guard(visit, route)

    def _endpoint(self, visit: Visit) -> Endpoint | None:
        endpoint = self._runtime.routes.endpoint(visit.goal.path)
        if endpoint is Endpoint.SIGNED_OUT and not visit.goal.path.startswith(
            self._runtime.routes.prefix + "/"
        ):
            # A signed-out path of the app's own is ours only on the way back from the provider.
            memo = single(visit.pairs, self._runtime.names.sign_out)
            return endpoint if memo is not None else None
        return endpoint

    async def _own(self, visit: Visit, endpoint: Endpoint) -> web.StreamResponse:
        handler = self._endpoints.get(endpoint)
        if handler is None:
            raise BadRequest(Reason.NOT_FOUND, status=404)
        anything = endpoint is Endpoint.AUTH  # a forward-auth request repeats the client's method
        if not anything and visit.goal.method not in _METHODS.get(endpoint, _READ):
            raise BadRequest(Reason.METHOD_NOT_ALLOWED, status=405)
        return await handler(visit)

    async def _guard(self, visit: Visit, route: Route) -> web.StreamResponse:
        """Identify, decide, act."""
        parts = self._parts
        opened: Opened | None = None
        if route.access is not Access.PUBLIC or self._runtime.settings.auth.disabled:
            # With authentication off every page of the web could drive an app on this machine.
            self._check_origin(visit, route)
        if route.access is not Access.PUBLIC:
            opened = await parts.sessions.find(visit.pairs, visit.now)
            if opened is None and visit.kind is Kind.NAVIGATION:
                visit.cookies += self._runtime.jar.clear_broken(visit.pairs)
        if opened is None and passes_through(route, visit.header("Authorization")):
            visit.passthrough = True
        verdict = self._decide(visit, route, opened)
        if isinstance(verdict, Refresh) and opened is not None:
            opened = await self._refreshed(visit, opened)
            verdict = self._decide(visit, route, opened)
        match verdict:
            case Forward(session=known):
                return await self._forward(visit, route, opened if known else None)
            case Login():
                return await self._login(visit)
            case Refuse(reason=Reason.NO_SESSION):
                parts.metrics.refused.labels(str(Reason.NO_SESSION)).inc()
                return parts.answers.refuse(visit, 401, Reason.NO_SESSION)
            case Refuse(reason=reason):
                return self._deny(visit, reason, opened)
            case Refresh():
                raise ProxyError(Reason.INTERNAL, "a refreshed session is due again")

    def _decide(self, visit: Visit, route: Route, opened: Opened | None) -> Verdict:
        session = opened.session if opened else None
        kind, passthrough = visit.goal.kind, visit.passthrough
        return decide(route, session, kind, visit.now, passthrough=passthrough)

    async def _refreshed(self, visit: Visit, opened: Opened) -> Opened | None:
        if self._parts.refresher is None:
            return opened
        fresh = await self._parts.refresher.refresh(opened, visit.now)
        if fresh is None:
            visit.cookies += self._runtime.jar.clear_broken(visit.pairs)
        return fresh

    async def _forward(
        self, visit: Visit, route: Route, opened: Opened | None
    ) -> web.StreamResponse:
        if opened is not None:
            visit.subject = opened.session.identity.subject
            visit.cookies += await self._parts.sessions.renewed(opened, visit.pairs, visit.now)
            if single(visit.pairs, self._runtime.names.bounces) is not None:
                # The session cookie came back: this browser is in no loop.
                visit.cookies.append(self._runtime.jar.remove(self._runtime.names.bounces))
        return await self._parts.upstreams.send(visit, route, opened)

    def _deny(self, visit: Visit, reason: Reason, opened: Opened | None) -> web.StreamResponse:
        email = ""
        if opened is not None:
            person = opened.session.identity
            self._parts.audit.denied(visit, reason, person)
            email = person.email
        return self._parts.answers.refuse(visit, 403, reason, email=email)

    async def _login(self, visit: Visit) -> web.StreamResponse:
        if self._parts.login is None:
            raise BadRequest(Reason.NOT_FOUND, status=404)
        return_to = self._runtime.redirects.check(visit.goal.raw)
        return await self._parts.login.begin(visit, return_to)

    def _check_origin(self, visit: Visit, route: Route) -> None:
        """A WebSocket rides on the cookie: only pages of listed origins may open one (B39)."""
        if visit.kind is not Kind.WEBSOCKET:
            return
        origins = [v for n, v in visit.request.raw_headers if n.lower() == b"origin"]
        if len(origins) > 1 or any(
            origin.decode("latin-1").lower() not in route.origins for origin in origins
        ):
            raise BadRequest(Reason.ORIGIN_REFUSED, status=403)

    async def _static(self, visit: Visit) -> web.StreamResponse:
        name = visit.goal.path.removeprefix(self._runtime.paths.static)
        found = self._parts.answers.file(visit, name)
        if found is None:
            raise BadRequest(Reason.NOT_FOUND, status=404)
        return found

    def _failed(self, visit: Visit, exc: ProxyError) -> web.StreamResponse:
        parts = self._parts
        parts.metrics.refused.labels(str(exc.reason)).inc()
        if exc.status >= 500 or exc.detail:
            level = "warning" if exc.status >= 500 else "info"
            fields: dict[str, object] = {
                "reason": str(exc.reason),
                "request_id": visit.id,
                "status": exc.status,
            }
            parts.log.event(level, exc.detail or str(exc.reason), fields)
        retry = ""
        if exc.status >= 500 and visit.kind is Kind.NAVIGATION:
            retry = visit.goal.raw
        elif exc.reason is Reason.BAD_HOST:
            retry = self._runtime.settings.public_url + "/"
        response = parts.answers.refuse(visit, exc.status, exc.reason, retry_url=retry)
        if exc.status in (400, 405, 408, 413, 414, 431, 505):
            response.force_close()
        return response

    def _gone(self) -> web.StreamResponse:
        return Sent(499, reusable=False)

    def _tell(self, visit: Visit, status: int, seconds: float) -> None:
        parts, target = self._parts, visit.target
        parts.metrics.answered(status, seconds)
        fields: dict[str, object] = {
            "status": status,
            "method": target.method if target else visit.request.method[:16],
            "path": plain_path(target.path) if target else "-",
            "ms": round(seconds * 1000, 1),
            "client": target.client if target else visit.peer,
            "request_id": visit.id,
        }
        if visit.subject:
            fields["sub"] = visit.subject
        if visit.reason:
            fields["reason"] = str(visit.reason)
        parts.log.access(fields)


def _peer(request: web.BaseRequest) -> str:
    """The address of the other end of the connection; empty for a unix socket."""
    peername = request.transport.get_extra_info("peername") if request.transport else None
    return str(peername[0]) if isinstance(peername, tuple) and peername else ""
