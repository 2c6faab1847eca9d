"""Rules about routes, upstream headers and our own paths."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from proxy.config.access import Rule
from proxy.config.paths import callback_paths, endpoint_paths
from proxy.config.programs import Exchange
from proxy.config.providers import providers_of
from proxy.config.settings import Settings
from proxy.config.template import parts

Found = Iterator[tuple[str, str]]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_PRINTABLE = re.compile(r"[ -~]*")
_RESERVED = frozenset(
    {
        *("x-forwarded-user", "x-forwarded-email", "x-forwarded-groups"),
        *("x-forwarded-preferred-username", "x-forwarded-access-token", "x-forwarded-for"),
        *("x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-real-ip", "forwarded"),
        *("host", "origin", "cookie", "set-cookie", "authorization", "content-length", "expect"),
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "proxy-authorization", "proxy-authenticate"),
    }
)


def _route_methods(settings: Settings) -> Found:
    seen: dict[tuple[str, str], int] = {}
    for number, route in enumerate(settings.routes):
        key = f"routes.{number}"
        for method in route.methods:
            if not _TOKEN.fullmatch(method) or method != method.upper():
                yield f"{key}.methods", f"{method!r} is not a method such as GET"
        for method in route.methods or ("*",):
            first = seen.setdefault((route.path, method), number)
            if first != number:
                yield key, f"the same path and method as routes.{first}"
                break


def _route_upstreams(settings: Settings) -> Found:
    if settings.upstream:
        return
    whole = [route for route in settings.routes if route.path == "/*" and not route.methods]
    if any(route.upstream for route in whole):
        for number, route in enumerate(settings.routes):
            if not route.upstream:
                yield f"routes.{number}.upstream", "is needed, as no global upstream is set"


def _header_names(settings: Settings) -> Found:
    ours = _RESERVED | {_folded(settings.identity.header)}
    if _folded(settings.identity.header) in _RESERVED:
        yield "identity.header", f"{settings.identity.header} has another meaning"
    seen: set[str] = set()
    for name, claim in settings.headers.extra.items():
        key = f"headers.extra.{name}"
        if not _TOKEN.fullmatch(name):
            yield key, "is not a valid header name"
        elif _folded(name) in ours:
            yield key, "is set by the proxy itself, or has another meaning"
        elif _folded(name) in seen:
            yield key, "is the same header as another one here"
        if not claim.strip():
            yield key, "needs the name of a claim"
        seen.add(_folded(name))


def _folded(name: str) -> str:
    """As headers are compared: many servers take X_Real_IP for X-Real-IP."""
    return name.lower().replace("_", "-")


def _our_paths(settings: Settings) -> Found:
    seen: dict[str, str] = {}
    for name, path in dataclasses.asdict(endpoint_paths(settings)).items():
        if not path:
            yield f"paths.{name}", "must not be empty"
        elif path in seen:
            yield f"paths.{name}", f"{path} is already the path of {seen[path]}"
        seen.setdefault(path, name)
    for path, provider in callback_paths(settings).items():
        if seen.get(path, "callback") != "callback":
            yield f"paths.{seen[path]}", f"{path} is already the callback of provider {provider}"


def _public_rules(settings: Settings) -> Found:
    for number, route in enumerate(settings.routes):
        if route.access == "public" and route.rule != Rule():
            yield f"routes.{number}.rule", "a public route asks nobody: it cannot have a rule"


def _authorization(settings: Settings) -> Found:
    """What a route puts in place of Authorization is given, and is used."""
    for number, route in enumerate(settings.routes):
        key, kind, template = f"routes.{number}", route.authorization, route.authorization_template
        if (kind == "template") != bool(template):
            yield f"{key}.authorization_template", "goes with authorization: template, and only so"
        elif template:
            try:
                parts(template)
            except ValueError as exc:
                yield f"{key}.authorization_template", str(exc)
        wanted = route.exchange
        if (kind == "exchange") != bool(wanted.audience or wanted.resource):
            needs = "an audience or a resource goes with authorization: exchange, and only so"
            yield f"{key}.exchange", needs
        if kind in ("template", "exchange") and route.access == "public":
            yield f"{key}.authorization", f"a public route knows nobody: it cannot have {kind}"
        yield from ((f"{key}.exchange.{name}", words) for name, words in _exchange(wanted))


def _exchange(wanted: Exchange) -> Found:
    for name in ("audience", "scope"):
        if not _PRINTABLE.fullmatch(getattr(wanted, name)):
            yield name, "may hold visible ASCII characters and spaces only"
    if wanted.resource and not _absolute(wanted.resource):
        yield "resource", "must be a whole URL without a fragment (RFC 8707)"


def _absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.scheme) and "#" not in url and not re.search(r"[^!-~]", url)


def _exchange_needs(settings: Settings) -> Found:
    exchanging = [n for n, route in enumerate(settings.routes) if route.authorization == "exchange"]
    if not exchanging or settings.auth.disabled:
        return
    if not settings.session.refresh_every:
        words = "is needed for authorization: exchange, as access tokens end long before sessions"
        yield "session.refresh_every", words
    if all(provider.preset == "github" for provider in providers_of(settings)):
        for number in exchanging:
            yield f"routes.{number}.authorization", "GitHub exchanges no tokens"


def _identity(settings: Settings) -> Found:
    if not settings.identity.audience:
        yield "identity.audience", "needs a name: a JWT for nobody in particular is for anybody"
    if not settings.claims.user:
        yield "claims.user", "needs the name of a claim"


def _client_certificate(settings: Settings) -> Found:
    forwarding = settings.forwarding
    if forwarding.client_key_file and not forwarding.client_certificate_file:
        yield "forwarding.client_key_file", "needs forwarding.client_certificate_file as well"


ROUTING: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("routes",), _route_methods),
    (("routes", "upstream"), _route_upstreams),
    (("identity.header", "headers.extra"), _header_names),
    (
        ("server.prefix", "paths.start", "paths.callback", "paths.sign_in", "providers.*.name"),
        _our_paths,
    ),
    (("routes",), _public_rules),
    (("routes",), _authorization),
    (("routes", "session.refresh_every", "providers"), _exchange_needs),
    (("identity.audience", "claims.user"), _identity),
    (("forwarding.client_certificate_file", "forwarding.client_key_file"), _client_certificate),
)
