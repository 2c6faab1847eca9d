"""Who is asking: by a bearer token, else by the cookies. The same for routes and endpoints."""

from __future__ import annotations

from proxy.config.access import Access
from proxy.model import Kind
from proxy.rules.gate import passes_through
from proxy.rules.routes import Route
from proxy.web.bearers import Bearers, Presented, is_bound_elsewhere, not_allowed
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened, Sessions
from proxy.web.visit import Visit


class Identify:
    """Finds the session behind a request, whatever carries it.

    A token that is ours to judge counts alone: a bad one is refused, whatever the cookies say.
    """

    def __init__(self, runtime: Runtime, bearers: Bearers, sessions: Sessions) -> None:
        self._jar = runtime.jar
        self._bearers = bearers
        self._sessions = sessions

    async def on_route(self, visit: Visit, route: Route) -> Opened | None:
        """Raises BearerRefused, TooMany, StoreError, ProviderError."""
        presented = self._bearers.presented(visit)
        if presented is not None:
            visit.hides_authorization = presented.is_ours
        if route.access is Access.PUBLIC:
            return None
        if presented is None or not route.bearer:
            opened = await self._sessions.find(visit.pairs, visit.now)
            presented = self._asked_about(visit, route) if opened is None else None
            if presented is None:
                if opened is None and visit.kind is Kind.NAVIGATION:
                    visit.carry(*self._jar.clear_broken(visit.pairs))
                return opened
        opened = await self._found(visit, presented)
        if is_bound_elsewhere(opened.grant, visit.goal.path):
            raise not_allowed("the token is bound to other routes")
        return opened

    async def at_endpoint(self, visit: Visit) -> Opened | None:
        """At one of our own endpoints that answer about a person. Raises as ``on_route`` does."""
        presented = self._bearers.presented(visit)
        if presented is None:
            opened = await self._sessions.find(visit.pairs, visit.now)
            presented = self._bearers.opaque(visit) if opened is None else None
            if presented is None:
                return opened
        opened = await self._found(visit, presented)
        if opened.grant is not None and (opened.grant.kind == "service" or opened.grant.routes):
            # Pomerium CVE-2024-47616: a service token opened an API of the proxy's own.
            raise not_allowed("a service token is for its routes alone")
        return opened

    def _asked_about(self, visit: Visit, route: Route) -> Presented | None:
        """A token that says nothing of itself, unless the route hands such keys on."""
        if not route.bearer or passes_through(route, visit.header("Authorization")):
            return None
        return self._bearers.opaque(visit)

    async def _found(self, visit: Visit, presented: Presented) -> Opened:
        visit.as_program()
        return await self._bearers.find(presented, visit)
