"""Compile and match routes. Our own endpoints are routes too, and are matched first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from proxy.config.access import Access
from proxy.config.programs import Exchange
from proxy.config.settings import Route as RouteSettings
from proxy.config.settings import Settings
from proxy.rules.access import ANYONE, Rules
from proxy.rules.compiler import with_head
from proxy.rules.judged import NO_LISTS, Lists
from proxy.rules.limits import Quota, quotas
from proxy.rules.template import Template

_PARAMETERS: Final = re.compile(r";[^/]*")
_POLL: Final = "/cli/poll/"
"""Below our prefix; what follows names a sign-in."""
_DEFAULT_PORT: Final = {"http": ":80", "https": ":443"}


class Endpoint(Enum):
    """Our own endpoints."""

    PING = "ping"
    READY = "ready"
    START = "start"
    CALLBACK = "callback"
    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    SIGNED_OUT = "signed_out"
    BACKCHANNEL_LOGOUT = "backchannel_logout"
    FRONTCHANNEL_LOGOUT = "frontchannel_logout"
    SESSIONS = "sessions"
    AUTH = "auth"
    USERINFO = "userinfo"
    IDENTITY = "identity"
    SETTINGS = "settings"
    DEBUG = "debug"
    TOKENS = "tokens"
    DEVICE = "device"
    DEVICE_AUTHORIZE = "device_authorize"
    DEVICE_TOKEN = "device_token"
    DEVICE_REVOKE = "device_revoke"
    CLI_START = "cli_start"
    CLI_POLL = "cli_poll"
    RESOURCE = "resource"
    JWKS = "jwks"
    STATIC = "static"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Route:
    """Where a request goes and who may send it there.

    ``path`` ends in ``/*`` for a prefix. ``upstream`` holds the URLs of one upstream; their
    path, if any, replaces nothing: it is put in front. ``rewrite`` replaces the matched prefix.
    ``provider`` is the name of the one that people are sent to from here; empty for any.
    ``template`` and ``exchange`` say what ``authorization`` of these names puts there.
    """

    path: str
    access: Access
    upstream: tuple[str, ...]
    methods: frozenset[str] = frozenset()
    rules: Rules = ANYONE
    rewrite: str | None = None
    authorization: str = "keep"
    passthrough: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    preserve_host: bool = True
    origins: frozenset[str] = frozenset()
    api: bool = False
    provider: str = ""
    bearer: bool = True
    errors: str = "auto"
    template: Template | None = None
    exchange: Exchange | None = None
    quotas: tuple[Quota, ...] = ()

    @property
    def brings_own(self) -> bool:
        """Does the upstream get an Authorization of the person's own, but not our JWT?"""
        return self.template is not None or self.exchange is not None

    @property
    def base(self) -> str:
        """The path without its ``/*``."""
        return self.path.removesuffix("/*") if self.path.endswith("/*") else self.path

    def rewritten(self, raw_path: str) -> str:
        """The raw path that the upstream gets: the client's own, or ``rewrite`` instead of the
        base, however the client spelled that, and the rest as the client wrote it.
        """
        if self.rewrite is None:
            return raw_path
        rest = _rest(raw_path, self.base)
        return (self.rewrite.rstrip("/") + "/" + rest.lstrip("/")) if rest else self.rewrite


def _rest(raw_path: str, base: str) -> str:
    """What follows ``base`` in ``raw_path``, counting an escape as the one character it is."""
    position = 0
    for _ in range(len(base.encode())):
        position += 3 if raw_path[position : position + 1] == "%" else 1
    return raw_path[position:]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Routes:
    """All routes, compiled: ours by exact path, upstreams by exact path or longest prefix.

    ``prefixes`` goes from the longest base to the shortest.
    """

    endpoints: dict[str, Endpoint]
    static: str
    prefix: str
    exact: dict[str, tuple[Route, ...]] = field(default_factory=dict)
    prefixes: dict[str, tuple[Route, ...]] = field(default_factory=dict)

    def endpoint(self, path: str) -> Endpoint | None:
        """The endpoint of ours at ``path``."""
        found = self.endpoints.get(path)
        if found is None and path.startswith(self.static):
            return Endpoint.STATIC
        if found is None and path.startswith(self.prefix + _POLL) and len(path) > len(_POLL):
            return Endpoint.CLI_POLL
        return found

    def match(self, path: str, method: str) -> Route | None:
        """The upstream route for a decoded path: exact before prefix, longer before shorter.

        A route for other methods is passed over. Nothing below our own prefix ever matches,
        nor a path that leads elsewhere for a server which cuts ``;parameters`` off.
        """
        found = self._find(path, method)
        if found is not None and ";" in path:
            plain = re.sub("/+", "/", _PARAMETERS.sub("", path))
            return found if self._find(plain, method) is found else None
        return found

    def _find(self, path: str, method: str) -> Route | None:
        if path == self.prefix or path.startswith(self.prefix + "/"):
            return None
        for route in self.exact.get(path, ()):
            if not route.methods or method in route.methods:
                return route
        for base, routes in self.prefixes.items():
            if path == base or path.startswith(base + "/"):
                for route in routes:
                    if not route.methods or method in route.methods:
                        return route
        return None


def compile_route(route: RouteSettings, settings: Settings, lists: Lists = NO_LISTS) -> Route:
    """One route of the settings, with the global rules folded in."""
    upstream = route.upstream or settings.upstream
    if not upstream:
        raise ValueError(f"route {route.path} has no upstream")
    public = route.access is Access.PUBLIC or settings.auth.disabled
    return Route(
        path=route.path,
        access=Access.PUBLIC if public else route.access,
        upstream=upstream,
        methods=with_head(route.methods),
        rules=Rules.compile(settings.access, route.rule, lists, f"route {route.path}"),
        rewrite=route.rewrite,
        authorization=route.authorization,
        passthrough=tuple(filter(None, route.passthrough_prefixes)),  # "" begins every key
        audience=route.audience or settings.identity.audience,
        preserve_host=route.preserve_host,
        origins=frozenset(map(_origin, (*_own_origins(settings), *route.origins))),
        api=route.api,
        bearer=route.bearer,
        errors=route.errors,
        quotas=quotas(settings.limits, route),
        template=_template(route),
        exchange=route.exchange if route.authorization == "exchange" else None,
        provider=route.provider,
    )


def _template(route: RouteSettings) -> Template | None:
    if route.authorization != "template":
        return None
    return Template.compile(route.authorization_template)


def _own_origins(settings: Settings) -> list[str]:
    """Those of pages that we serve: of public_url, and of the further hosts."""
    scheme = settings.public_url.partition(":")[0]
    further = [f"{scheme}://{host}" for host in settings.server.hosts if host != "*"]
    return [settings.public_url, *further]


def _origin(url: str) -> str:
    """As a browser writes it in Origin: lower case, no default port (RFC 6454 section 6.2)."""
    origin = url.rstrip("/").lower()
    return origin.removesuffix(_DEFAULT_PORT.get(origin.partition(":")[0], "/"))


def compile_routes(
    settings: Settings, endpoints: dict[str, Endpoint], static: str, lists: Lists = NO_LISTS
) -> Routes:
    """Every route of the settings; ``/*`` is added for the global upstream if nobody has it."""
    declared = list(settings.routes)
    if settings.upstream and not any(r.path == "/*" and not r.methods for r in declared):
        declared.append(RouteSettings(path="/*"))
    compiled = [compile_route(route, settings, lists) for route in declared]
    return Routes(
        endpoints=endpoints,
        static=static,
        prefix=settings.server.prefix,
        exact=_group(route for route in compiled if not route.path.endswith("/*")),
        prefixes=_group(route for route in compiled if route.path.endswith("/*")),
    )


def _group(routes: Iterable[Route]) -> dict[str, tuple[Route, ...]]:
    """By base path, longest first; among equals a route that names methods comes first."""
    grouped: dict[str, tuple[Route, ...]] = {}
    for route in routes:
        both = (*grouped.get(route.base, ()), route)
        grouped[route.base] = tuple(sorted(both, key=lambda r: not r.methods))
    return dict(sorted(grouped.items(), key=lambda item: -len(item[0])))
