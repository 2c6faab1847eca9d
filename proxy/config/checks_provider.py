"""Rules about providers, asked of each of them: what is needed, and what does not go together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from urllib.parse import urlsplit

from proxy.config.address import normalise_domain
from proxy.config.provider import Provider
from proxy.config.providers import TEMPLATE, places_of, providers_of
from proxy.config.section import Section
from proxy.config.settings import Settings
from proxy.config.types import is_loopback

Found = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Placed:
    """A provider: where it was written, what was written, and what that makes of it."""

    place: str
    written: Provider
    whole: Provider


def placed(settings: Settings) -> tuple[Placed, ...]:
    """Every provider in order."""
    written = settings.providers or (settings.provider,)
    return tuple(map(Placed, places_of(settings), written, providers_of(settings)))


def provider_problems(settings: Settings, broken: Set[str]) -> Found:
    """(dotted path, message) pairs; nothing is guessed from what is in ``broken``."""
    if "providers" in broken:
        return
    if settings.providers and "provider" in settings.model_fields_set:
        yield "providers", "cannot stand beside provider: make that one an entry as well"
    yield from _names(settings)
    for it in placed(settings):
        for reads, problems in PROVIDER:
            if not broken & {f"{it.place}.{name}" for name in ("preset", *reads)}:
                yield from ((f"{it.place}.{name}", message) for name, message in problems(it))


def _names(settings: Settings) -> Found:
    first: dict[str, str] = {}
    for place, provider in zip(places_of(settings), settings.providers, strict=False):
        name = provider.name
        if name and first.setdefault(name, place) != place:
            yield f"{place}.name", f"{name} is already the name of {first[name]}"


def missing(settings: Settings, broken: Set[str]) -> Iterator[str]:
    """Options that a provider lacks, as dotted paths."""
    if "providers" in broken:
        return
    for it in placed(settings):
        if settings.providers and not it.written.name and f"{it.place}.name" not in broken:
            yield f"{it.place}.name"
        for name in _needed(it.whole):
            reads = ("preset", name, *_DECIDED_BY.get(name, ()))
            if not broken & {f"{it.place}.{read}" for read in reads}:
                yield f"{it.place}.{name}"


WHY: Mapping[str, str] = MappingProxyType(
    {
        "name": "several providers are told apart by it",
        "issuer_url": "or server_metadata_url, or a preset that knows it",
        "client_secret": "or another token_auth_method",
        "client_key_file": "or client_assertion_file, for private_key_jwt",
        "tls_certificate_file": "for tls_client_auth",
    }
)
"""What else may be said of an option that is needed."""

# Whether these are needed depends on others.
_DECIDED_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "issuer_url": ("server_metadata_url", "discovery"),
        "server_metadata_url": ("issuer_url", "discovery"),
        "authorization_endpoint": ("discovery",),
        "token_endpoint": ("discovery",),
        "jwks_uri": ("discovery",),
        "userinfo_endpoint": ("discovery", "claims_source"),
        "entra.tenant": ("issuer_url", "server_metadata_url", "discovery"),
        "client_secret": (
            *("token_auth_method", "client_key_file", "client_assertion_file"),
            "tls_certificate_file",
        ),
        "client_key_file": ("token_auth_method", "client_assertion_file"),
        "tls_certificate_file": ("token_auth_method",),
        "pushed_authorization_request_endpoint": ("pushed_authorization", "discovery"),
    }
)


def _needed(provider: Provider) -> Iterator[str]:
    yield from _needed_addresses(provider)
    if not provider.client_id:
        yield "client_id"
    yield from _needed_proof(provider)


def _needed_addresses(provider: Provider) -> Iterator[str]:
    pushed = provider.pushed_authorization == "on" and not provider.discovery
    if pushed and not provider.pushed_authorization_request_endpoint:
        yield "pushed_authorization_request_endpoint"
    if provider.preset == "github":
        return
    issuer = provider.issuer_url or ""
    if not provider.discovery:
        endpoints = ["issuer_url", "authorization_endpoint", "token_endpoint", "jwks_uri"]
        if provider.claims_source == "userinfo":
            endpoints.append("userinfo_endpoint")
        yield from (name for name in endpoints if not getattr(provider, name))
    elif not provider.server_metadata_url and (not issuer or TEMPLATE in issuer):
        if provider.preset == "entra":
            yield "entra.tenant"
        else:
            yield "server_metadata_url" if issuer else "issuer_url"


def _needed_proof(provider: Provider) -> Iterator[str]:
    """What the client proves with who it is."""
    by_key = provider.client_key_file or provider.client_assertion_file
    match provider.token_auth_method:
        case "none":
            return
        case "private_key_jwt":
            if not by_key:
                yield "client_key_file"
        case "tls_client_auth":
            if not provider.tls_certificate_file:
                yield "tls_certificate_file"
        case method:
            other = method == "auto" and (by_key or provider.tls_certificate_file)
            if not provider.client_secret and not other:
                yield "client_secret"


_SHORTEST_KEY = 32  # bytes; RFC 7518 section 3.2, for HS256


def _proof(it: Placed) -> Found:
    provider, method = it.whole, it.whole.token_auth_method
    secret = provider.client_secret.reveal()
    if method == "client_secret_jwt" and 0 < len(secret.encode()) < _SHORTEST_KEY:
        yield "client_secret", f"client_secret_jwt signs with it: {_SHORTEST_KEY} bytes are needed"
    files = ("client_key_file", "client_assertion_file")
    if all(getattr(provider, name) for name in files):
        yield "client_assertion_file", f"set {it.place}.client_key_file or this, not both"
    for name in files if method not in ("auto", "private_key_jwt") else ():
        if getattr(provider, name):
            yield name, f"is of no use: {it.place}.token_auth_method is {method}"
    if provider.client_key_id and not provider.client_key_file:
        yield "client_key_id", f"needs {it.place}.client_key_file as well"
    if provider.tls_key_file and not provider.tls_certificate_file:
        yield "tls_key_file", f"needs {it.place}.tls_certificate_file as well"


_URLS = (
    *("issuer_url", "server_metadata_url", "authorization_endpoint", "token_endpoint"),
    *("userinfo_endpoint", "jwks_uri", "end_session_endpoint"),
    *("pushed_authorization_request_endpoint", "entra.graph_url", "github.url", "github.api_url"),
)


def _addresses(it: Placed) -> Found:
    for name in () if it.whole.allow_insecure_http else _URLS:
        url = urlsplit(attrgetter(name)(it.written) or "")  # presets have https alone
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            words = f"{it.place}.allow_insecure_http allows http, on a test network"
            yield name, f"must be https ({words})"


ASYMMETRIC = frozenset(f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in (256, 384, 512))
_SYMMETRIC: Mapping[str, int] = MappingProxyType({"HS256": 32, "HS384": 48, "HS512": 64})


def _algorithms(it: Placed) -> Found:
    key, provider = "id_token_algorithms", it.whole
    secret = f"{it.place}.client_secret"
    if not provider.id_token_algorithms:
        yield key, "at least one is needed"
    for name in provider.id_token_algorithms:
        if name.lower() == "none":
            yield key, "none is refused: an ID token must be signed"
        elif name not in (*ASYMMETRIC, *_SYMMETRIC, "EdDSA"):
            yield key, f"{name!r} is not a known algorithm, such as RS256 or ES256"
        elif len(provider.client_secret.reveal().encode()) < _SYMMETRIC.get(name, 0):
            yield key, f"{name} needs a {secret} of {_SYMMETRIC[name]} bytes or more"


_OURS = frozenset(
    {
        *("response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method", "request", "request_uri"),
        *("client_secret", "client_assertion", "client_assertion_type"),
    }
)
_OUR_HEADERS = frozenset(
    {
        *("content-type", "accept", "authorization", "host", "content-length"),
        *("transfer-encoding", "connection"),
    }
)
# Patterns are texts here: most configurations need none of them, and compiling takes its time.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2


def _requests(it: Placed) -> Found:
    """What is sent to the provider: parameters and headers that are ours to set."""
    provider = it.whole
    if provider.preset != "github" and "openid" not in provider.scope.split():
        yield "scope", "must contain openid"
    for name in provider.authorization_params:
        if name in _OURS:
            yield f"authorization_params.{name}", "is set by each sign-in itself"
    for name in provider.allowed_login_params:
        if name in _OURS:
            yield "allowed_login_params", f"{name} is set by each sign-in itself"
    for name, value in provider.extra_headers.items():
        if name.lower() in _OUR_HEADERS:
            yield f"extra_headers.{name}", "is set by the proxy itself"
        elif not re.fullmatch(_TOKEN, name):
            yield f"extra_headers.{name}", "is not a valid header name"
        elif re.search(r"[^\t -~]", value):
            yield f"extra_headers.{name}", "holds control or non-ASCII characters"


_PROXY = (
    r"http://(((?![@/?#\\])[!-~])+@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})/?"
)


def https_proxy_problems(it: Placed) -> Found:
    text = it.whole.https_proxy.reveal()
    found = re.fullmatch(_PROXY, text) if text else None
    if text and (found is None or not 0 < int(found["port"]) < 1 << 16):
        yield (
            "https_proxy",
            "must be http://host:port, or http://user:password@host:port (in a password / is %2F, "
            "@ is %40 and : is %3A)",
        )


_TENANT = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def _presets(it: Placed) -> Found:
    """What only one preset knows."""
    for name in ("entra", "github"):
        section: Section = getattr(it.written, name)
        said = section.model_fields_set and section != type(section)()
        if said and it.whole.preset != name:
            yield name, f"needs {it.place}.preset: {name}"
    if TEMPLATE in (it.whole.issuer_url or ""):
        if it.whole.preset != "entra":
            yield (
                "issuer_url",
                f"{TEMPLATE} stands for a tenant with {it.place}.preset: entra alone",
            )
        elif not it.whole.entra.allowed_tenants:
            yield "entra.allowed_tenants", "is needed: people of any tenant could come otherwise"
    for tenant in it.whole.entra.allowed_tenants:
        if not re.fullmatch(_TENANT, tenant):
            words = (
                "the id of a tenant, in lower case, such as 8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
            )
            yield "entra.allowed_tenants", f"{tenant!r} is not {words}"


def _domains(it: Placed) -> Found:
    for entry in it.whole.email_domains:
        if not is_domain(entry):
            yield "email_domains", not_a_domain(entry)
    for entry in it.whole.hosted_domains:
        if not normalise_domain(entry):
            yield "hosted_domains", not_a_domain(entry, "example.org")


def is_domain(entry: str) -> bool:
    """One of ``email_domains``: a domain, ``.domain`` for those below it, or ``*`` for any."""
    return entry == "*" or bool(normalise_domain(entry.removeprefix("*.").removeprefix(".")))


def not_a_domain(entry: str, examples: str = "example.org or .example.org") -> str:
    """What is wrong with an entry that is no domain, and what to write."""
    hint = ", without the @" if "@" in entry else ""
    return f"{entry!r} is not a domain such as {examples}{hint}"


def claims_problems(it: Placed) -> Found:
    written, claims = it.written.claims.model_fields_set, it.whole.claims
    if not claims.user and "user" in written:
        yield "claims.user", "needs the name of a claim"
    if claims.user_fallback == "email" and not claims.email:
        yield "claims.user_fallback", "needs the name of a claim in claims.email"


PROVIDER: tuple[tuple[tuple[str, ...], Callable[[Placed], Found]], ...] = (
    (("allow_insecure_http",), _addresses),
    (("id_token_algorithms", "client_secret"), _algorithms),
    (("token_auth_method", "client_key_file", "client_assertion_file", "client_secret"), _proof),
    (("scope",), _requests),
    (("https_proxy",), https_proxy_problems),
    (("issuer_url", "entra.tenant", "entra.allowed_tenants"), _presets),
    (("email_domains", "hosted_domains"), _domains),
    (("claims.user", "claims.user_fallback", "claims.email"), claims_problems),
)
"""For each rule: the options that it reads besides the preset, below those of a provider."""
