"""The slow lane's way through a request: read → match → identify → decide → act → tell."""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

from proxy.config.access import Access
from proxy.errors import BadRequest, BearerRefused, ProxyError, Reason
from proxy.model import Kind
from proxy.rules.gate import Forward, Login, Refresh, Refuse, StrengthenLogin
from proxy.rules.judged import Denial, StepUp
from proxy.rules.routes import Endpoint, Route
from proxy.session.cookies import single
from proxy.web.auth import deny
from proxy.web.client import Sent, connection_of
from proxy.web.endpoints import endpoints, methods
from proxy.web.limits import TooMany
from proxy.web.parts import Parts
from proxy.web.server import SlowLane
from proxy.web.sessions import Opened
from proxy.web.visit import Visit
from proxy.wire.exchange import BrokenResponse


class Entry:
    """Answers requests. ``parts`` holds everything that it acts through."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._runtime = parts.runtime
        self._judge = parts.judge
        self._endpoints = endpoints(parts)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, whatever it is; never raises but for a client that has gone."""
        ledger = self._parts.ledger
        connection = cast(SlowLane, request.protocol).connection
        visit, failure = connection.handed or (ledger.visit(connection), None)
        visit.stream = request
        ledger.begin(connection)
        status = 499
        try:
            response = await self._answer(visit, failure)
            status = response.status
            if self._parts.draining or connection.is_last:
                response.force_close()
            return response
        except BrokenResponse as exc:
            ledger.cut(visit, exc)
            return self._gone()
        except ConnectionError:
            return self._gone()
        finally:
            connection.opened = None
            ledger.end(connection, visit, status)

    async def _answer(self, visit: Visit, failure: ProxyError | None) -> web.StreamResponse:
        try:
            self._judge.read(visit)
            if failure is not None:
                if self._parts.programs.bearers.presented(visit) is not None:
                    visit.as_program()  # as it was in the fast lane
                raise failure
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

    async def _act(self, visit: Visit) -> web.StreamResponse:
        place = self._judge.place(visit)
        if isinstance(place, Endpoint):
            return await self._own(visit, place)
        return await self._guard(visit, place)

    async def _own(self, visit: Visit, endpoint: Endpoint) -> web.StreamResponse:
        handler = self._endpoints.get(endpoint)
        if handler is None:
            raise BadRequest(Reason.NOT_FOUND, status=404)
        anything = endpoint is Endpoint.AUTH  # a forward-auth request repeats the client's method
        if not anything and visit.goal.method not in methods(endpoint):
            raise BadRequest(Reason.METHOD_NOT_ALLOWED, status=405)
        return await handler(visit)

    async def _guard(self, visit: Visit, route: Route) -> web.StreamResponse:
        """Identify, decide, act."""
        parts, visit.errors = self._parts, route.errors
        if route.access is not Access.PUBLIC or self._runtime.settings.auth.disabled:
            # With authentication off every page of the web could drive an app on this machine.
            self._judge.check_origin(visit, route)
        opened = await parts.programs.identify.on_route(visit, route)
        verdict = self._judge.decide(visit, route, opened)
        if isinstance(verdict, Refresh) and opened is not None:
            opened = await self._refreshed(visit, opened)
            verdict = self._judge.decide(visit, route, opened)
        is_browser = opened is not None and opened.grant is None
        if isinstance(verdict, Forward) and verdict.session and opened and is_browser:
            cookies = await parts.sessions.renewed(opened, visit.pairs, visit.now)
            if cookies is None:  # it has ended meanwhile
                opened, cookies = None, self._runtime.jar.clear_broken(visit.pairs)
                verdict = self._judge.decide(visit, route, None)
            visit.carry(*cookies)
        match verdict:
            case Forward(session=known):
                return await self._forward(visit, route, opened if known else None)
            case Login():
                return await self._login(visit, route)
            case StrengthenLogin(step_up=step_up):
                return await self._login(visit, route, step_up, opened)
            case Refuse(reason=Reason.NO_SESSION):
                parts.metrics.refuse(Reason.NO_SESSION)
                return parts.answers.refuse(visit, 401, Reason.NO_SESSION)
            case Refuse(reason=reason, denial=denial):
                return self._deny(visit, route, reason, denial, opened)
            case Refresh():
                raise ProxyError(Reason.INTERNAL, "a refreshed session is due again")

    async def _refreshed(self, visit: Visit, opened: Opened) -> Opened | None:
        if self._parts.refresher is None:
            return opened
        fresh = await self._parts.refresher.refresh(opened)
        if fresh is None:
            visit.carry(*self._runtime.jar.clear_broken(visit.pairs))
        return fresh

    async def _forward(
        self, visit: Visit, route: Route, opened: Opened | None
    ) -> web.StreamResponse:
        if opened is not None:
            visit.subject = opened.session.identity.subject
            connection_of(visit).opened = opened
            if single(visit.pairs, self._runtime.names.bounces) is not None:
                # The session cookie came back: this browser is in no loop.
                visit.carry(self._runtime.jar.remove(self._runtime.names.bounces))
        passed = await self._parts.programs.limits.enter(route, visit, opened)
        try:
            return await self._parts.upstreams.send(visit, route, opened)
        finally:
            passed.leave()

    def _deny(
        self,
        visit: Visit,
        route: Route,
        reason: Reason,
        denial: Denial | None,
        opened: Opened | None,
    ) -> web.StreamResponse:
        if denial is None or opened is None:
            return self._parts.answers.refuse(visit, 403, reason)
        person, parts = opened.session.identity, self._parts
        return deny(visit, denial, person, parts.answers, parts.audit, on_api=route.api)

    async def _login(
        self,
        visit: Visit,
        route: Route,
        step_up: StepUp | None = None,
        opened: Opened | None = None,
    ) -> web.StreamResponse:
        """To the provider; for a stronger sign-in to the one of the session."""
        if self._parts.sign_in is None:
            raise BadRequest(Reason.NOT_FOUND, status=404)
        login, return_to = self._parts.sign_in.login, self._runtime.redirects.check(visit.goal.raw)
        name = opened.session.identity.provider if opened else ""
        if step_up is None or opened is None or not login.knows(name):
            return await login.wanted(visit, return_to, route.provider)
        return await login.begin(visit, return_to, provider=name, step_up=step_up)

    def _failed(self, visit: Visit, exc: ProxyError) -> web.StreamResponse:
        parts = self._parts
        parts.metrics.refuse(exc.reason)
        if exc.status >= 500 or exc.detail:
            level = "warning" if exc.status >= 500 else "info"
            fields: dict[str, object] = {
                "reason": str(exc.reason),
                "request_id": visit.id,
                "status": exc.status,
            }
            parts.log.event(level, exc.detail or str(exc.reason), fields)
        if isinstance(exc, BearerRefused):
            visit.bearer_error, visit.missing_scope = exc.error, exc.scope
        if isinstance(exc, TooMany):
            visit.retry_after = exc.retry_after
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
