"""Rules between options: a table of rows, each naming the options it reads.

A row is left out when an option that it reads is broken: its verdict would be a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from proxy.config.checks_keeping import KEEPING
from proxy.config.checks_listening import LISTENING
from proxy.config.checks_routing import ROUTING
from proxy.config.declaration import options
from proxy.config.listening import parse_address
from proxy.config.settings import Provider, Settings
from proxy.config.types import decode_cookie_secret, is_loopback

_NOTHING: frozenset[str] = frozenset()


class Problem(NamedTuple):
    """Where, as a dotted path (empty for the whole), and what is wrong."""

    path: str
    message: str


class Row(NamedTuple):
    """One rule: it reads ``reads`` and yields (dotted path, message) pairs."""

    reads: tuple[str, ...]
    problems: Callable[[Settings], Iterator[tuple[str, str]]]


def check(
    settings: Settings, broken: frozenset[str] = _NOTHING, absent: frozenset[str] = _NOTHING
) -> list[Problem]:
    """What does not fit together in ``settings``; opens nothing.

    ``broken`` are keys of options whose value could not be used, ``absent`` those of required
    options that were not given at all; both hold a stand-in.
    """
    found = [Problem(*pair) for pair in _missing(settings, broken - absent, absent)]
    for row in ROWS:
        if not broken.intersection(row.reads):
            found += [Problem(*pair) for pair in row.problems(settings)]
    return found


# Whether these are needed depends on others.
_DECIDED_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "upstream": ("routes",),
        "provider.issuer_url": ("provider.server_metadata_url", "provider.discovery"),
        "provider.client_secret": ("provider.token_auth_method",),
    }
)


def _missing(
    settings: Settings, broken: frozenset[str], absent: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Everything that a minimal configuration lacks, named in one message."""
    names = [
        name
        for name in (*absent, *_needed(settings))
        if name not in broken and not broken.intersection(_DECIDED_BY.get(name, ()))
    ]
    if names:
        variables = {option.key: option.variable for option in options()}
        shown = ", ".join(f"{name} ({variables[name]})" for name in names)
        yield "", f"these options are needed and not set: {shown}"


def _needed(settings: Settings) -> Iterator[str]:
    everywhere = [route for route in settings.routes if route.path == "/*" and not route.methods]
    if not settings.upstream and not any(route.upstream for route in everywhere):
        yield "upstream"
    if settings.auth.disabled:
        return
    provider = settings.provider
    if provider.discovery:
        if not provider.issuer_url and not provider.server_metadata_url:
            yield "provider.issuer_url"
    else:
        for name in ("issuer_url", "authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not getattr(provider, name):
                yield f"provider.{name}"
    if not provider.client_id:
        yield "provider.client_id"
    if not provider.client_secret and provider.token_auth_method != "none":
        yield "provider.client_secret"
    if not settings.cookie.secret:
        yield "cookie.secret"


def _cookie_secret(settings: Settings) -> Iterator[tuple[str, str]]:
    for number, secret in enumerate(settings.cookie.secret, start=1):
        try:
            decode_cookie_secret(secret.reveal())
        except ValueError as exc:
            which = f"secret {number} of the list " if len(settings.cookie.secret) > 1 else ""
            yield "cookie.secret", f"{which}{exc}"


def _shared_secret(settings: Settings) -> Iterator[tuple[str, str]]:
    identity = settings.identity
    if identity.algorithm != "HS256":
        return
    shared = identity.shared_secret.reveal()
    if len(shared.encode()) < 32:
        yield "identity.shared_secret", "HS256 needs a shared secret of 32 bytes or more"
    elif shared in {secret.reveal() for secret in settings.cookie.secret}:
        yield "identity.shared_secret", "must differ from cookie.secret: upstreams know this one"


def _cookie(settings: Settings) -> Iterator[tuple[str, str]]:
    cookie, url = settings.cookie, urlsplit(settings.public_url)
    secure = url.scheme == "https" if cookie.secure is None else cookie.secure
    if cookie.same_site == "None" and not secure:
        yield "cookie.same_site", "None needs the Secure attribute, and so an https public_url"
    if cookie.name.startswith(("__Host-", "__Secure-")) and not secure:
        yield "cookie.name", "a name with this prefix needs the Secure attribute"
    if cookie.name.startswith("__Host-") and cookie.domain:
        yield "cookie.name", "a __Host- cookie cannot have a domain"
    domain, host = cookie.domain.lstrip(".").lower(), url.hostname or ""
    if domain and host != domain and not host.endswith(f".{domain}"):
        yield "cookie.domain", f"the host of public_url, {host}, is not below {domain}"


def _public_url(settings: Settings) -> Iterator[tuple[str, str]]:
    url = urlsplit(settings.public_url)
    local = is_loopback(url.hostname or "")
    if url.scheme == "http" and not local and settings.cookie.secure is not False:
        yield "public_url", "must be https (or set cookie.secure to false, on a test network)"


def _session(settings: Settings) -> Iterator[tuple[str, str]]:
    session = settings.session
    if session.lifetime <= 0:
        yield "session.lifetime", "must be longer than 0"
    elif "idle_timeout" in session.model_fields_set and session.idle_timeout > session.lifetime:
        yield "session.idle_timeout", "must not be longer than session.lifetime"


def _auth_disabled(settings: Settings) -> Iterator[tuple[str, str]]:
    server = settings.server
    if not settings.auth.disabled or settings.auth.disabled_on_public_address:
        return
    for name in (*server.listen, *server.tls_listen):
        if not parse_address(name).local:
            yield (
                "auth.disabled",
                f"would let anyone in through {name}; "
                "auth.disabled_on_public_address allows even that",
            )


_URLS = (
    "issuer_url",
    "server_metadata_url",
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "jwks_uri",
    "end_session_endpoint",
)


def _provider_urls(settings: Settings) -> Iterator[tuple[str, str]]:
    provider = settings.provider
    for name in () if provider.allow_insecure_http else _URLS:
        url = urlsplit(getattr(provider, name) or "")
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            yield (
                f"provider.{name}",
                "must be https (provider.allow_insecure_http allows http, on a test network)",
            )


_ASYMMETRIC = frozenset(f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in (256, 384, 512))
_SYMMETRIC: Mapping[str, int] = MappingProxyType({"HS256": 32, "HS384": 48, "HS512": 64})


def _algorithms(settings: Settings) -> Iterator[tuple[str, str]]:
    key, provider = "provider.id_token_algorithms", settings.provider
    if not provider.id_token_algorithms:
        yield key, "at least one is needed"
    for name in provider.id_token_algorithms:
        if name.lower() == "none":
            yield key, "none is refused: an ID token must be signed"
        elif name not in (*_ASYMMETRIC, *_SYMMETRIC, "EdDSA"):
            yield key, f"{name!r} is not a known algorithm, such as RS256 or ES256"
        elif len(provider.client_secret.reveal().encode()) < _SYMMETRIC.get(name, 0):
            yield key, f"{name} needs a provider.client_secret of {_SYMMETRIC[name]} bytes or more"


_OURS = frozenset(
    {
        *("response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method", "request", "request_uri"),
    }
)
_OUR_HEADERS = frozenset({"content-type", "accept", "authorization"})


def _requests(settings: Settings) -> Iterator[tuple[str, str]]:
    """What is sent to the provider: parameters and headers that are ours to set."""
    provider: Provider = settings.provider
    if "openid" not in provider.scope.split():
        yield "provider.scope", "must contain openid"
    for name in provider.authorization_params:
        if name in _OURS:
            yield f"provider.authorization_params.{name}", "is set by each sign-in itself"
    for name in provider.allowed_login_params:
        if name in _OURS:
            yield "provider.allowed_login_params", f"{name} is set by each sign-in itself"
    for name in provider.extra_headers:
        if name.lower() in _OUR_HEADERS:
            yield f"provider.extra_headers.{name}", "is set by the proxy itself"


ROWS: tuple[Row, ...] = (
    Row(("public_url", "cookie.secure"), _public_url),
    Row(("cookie.secret",), _cookie_secret),
    Row(("identity.algorithm", "identity.shared_secret", "cookie.secret"), _shared_secret),
    Row(
        ("public_url", "cookie.secure", "cookie.same_site", "cookie.name", "cookie.domain"),
        _cookie,
    ),
    Row(("session.lifetime", "session.idle_timeout"), _session),
    Row(
        ("server.listen", "server.tls_listen", "auth.disabled", "auth.disabled_on_public_address"),
        _auth_disabled,
    ),
    Row(("provider.allow_insecure_http",), _provider_urls),
    Row(("provider.id_token_algorithms", "provider.client_secret"), _algorithms),
    Row((), _requests),
    *(Row(reads, problems) for reads, problems in (*ROUTING, *LISTENING, *KEEPING)),
)
