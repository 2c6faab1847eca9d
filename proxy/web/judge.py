"""What is decided about a request before anything is done: the same for both lanes."""

from __future__ import annotations

from typing import Final

from proxy.config.access import Access
from proxy.errors import BadRequest, Reason
from proxy.model import Kind
from proxy.rules.gate import Verdict, decide, passes_through
from proxy.rules.routes import Endpoint, Route
from proxy.rules.target import Hop, check_host, read_hop, read_target
from proxy.session.cookies import single
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened
from proxy.web.visit import Visit

# Machines ask these by internal names: healthchecks, forward-auth, upstreams that want the keys.
# And the clothes of the page that tells people of the right name.
_ANY_HOST: Final = frozenset(
    {Endpoint.PING, Endpoint.READY, Endpoint.AUTH, Endpoint.JWKS, Endpoint.STATIC}
)


class Judge:
    """Read, match, decide: steps of the house's order, without waiting for anything."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._trust = runtime.trust
        self._routes = runtime.routes

    def read(self, visit: Visit) -> None:
        """Fill in the visit's target and cookies. Raises BadRequest."""
        request = visit.request
        visit.target = read_target(
            request.method, request.target, request.headers, visit.peer, self._trust
        )
        visit.read_cookies()

    def hop(self, visit: Visit) -> Hop:
        """What the header lines say, whatever the path. Raises BadRequest."""
        return read_hop(visit.request.headers, visit.peer, self._trust)

    def place(self, visit: Visit) -> Endpoint | Route:
        """Where the request goes. Raises BadRequest: another's host, no route (404), odd paths."""
        target = visit.goal
        endpoint = self._endpoint(visit)
        if endpoint not in _ANY_HOST:
            check_host(target, self._trust)
        if endpoint is not None:
            return endpoint
        route = self._routes.match(target.path, target.method)
        if route is None:
            raise BadRequest(Reason.NOT_FOUND, status=404)
        if route.access is not Access.REQUIRED and ";" in target.path:
            # Some servers read /open/..;/closed as /closed: never on a path that is open.
            raise BadRequest(Reason.BAD_TARGET, "path parameter on an open route")
        return route

    def _endpoint(self, visit: Visit) -> Endpoint | None:
        routes = self._routes
        endpoint = routes.endpoint(visit.goal.path)
        if endpoint is Endpoint.SIGNED_OUT and not visit.goal.path.startswith(routes.prefix + "/"):
            # A signed-out path of the app's own is ours only on the way back from the provider.
            memo = single(visit.pairs, self._runtime.names.sign_out)
            return endpoint if memo is not None else None
        return endpoint

    def decide(self, visit: Visit, route: Route, opened: Opened | None) -> Verdict:
        """THE table, asked for this request; notes a key that passes through."""
        if opened is None and route.passthrough:
            visit.passthrough = passes_through(route, visit.header("Authorization"))
        session = opened.session if opened else None
        return decide(route, session, visit.goal, visit.now, passthrough=visit.passthrough)

    def check_origin(self, visit: Visit, route: Route) -> None:
        """A WebSocket rides on the cookie: only pages of listed origins may open one (B39)."""
        if visit.kind is not Kind.WEBSOCKET:
            return
        origins = [value for name, value in visit.request.headers if name.lower() == b"origin"]
        if len(origins) > 1 or any(
            origin.decode("latin-1").lower() not in route.origins for origin in origins
        ):
            raise BadRequest(Reason.ORIGIN_REFUSED, status=403)
