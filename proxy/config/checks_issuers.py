"""Rules about whose bearer tokens are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from proxy.config.checks_provider import (
    ASYMMETRIC,
    Placed,
    claims_problems,
    https_proxy_problems,
)
from proxy.config.programs import Issuer
from proxy.config.providers import TEMPLATE, issuers_of, names_of, places_of, providers_of
from proxy.config.settings import Settings
from proxy.config.types import is_loopback

Found = Iterator[tuple[str, str]]

_URLS = ("issuer_url", "jwks_uri", "introspection_endpoint")


def _placed(settings: Settings) -> Iterator[tuple[str, Issuer]]:
    for number, issuer in enumerate(settings.bearer.issuers):
        yield f"bearer.issuers.{number}", issuer


def _names(settings: Settings) -> Found:
    """Rules and logs tell them apart by name, from providers too."""
    first = dict(zip(names_of(settings), places_of(settings), strict=True))
    for place, issuer in _placed(settings):
        if first.setdefault(issuer.name, place) != place:
            yield f"{place}.name", f"{issuer.name} is already the name of {first[issuer.name]}"


def _issuers(settings: Settings) -> Found:
    """Each is judged once, on one set of terms; what we sign ourselves signs nobody in."""
    ours = {settings.public_url, settings.identity.issuer} - {""}
    first: dict[str, str] = {}
    if settings.bearer.audiences:
        whose = zip(providers_of(settings), places_of(settings), strict=True)
        first = {provider.issuer_url: place for provider, place in whose if provider.issuer_url}
    for place, issuer in _placed(settings):
        url = issuer.issuer_url
        if url in ours:
            yield f"{place}.issuer_url", "is this proxy itself: its own tokens sign nobody in"
        elif TEMPLATE in url:
            yield f"{place}.issuer_url", f"{TEMPLATE} stands for a tenant in a provider alone"
        elif first.setdefault(url, place) != place:
            yield f"{place}.issuer_url", f"is already that of {first[url]}"


def _addresses(settings: Settings) -> Found:
    for place, issuer in _placed(settings):
        for name in () if issuer.allow_insecure_http else _URLS:
            url = urlsplit(getattr(issuer, name) or "")
            if url.scheme == "http" and not is_loopback(url.hostname or ""):
                words = f"{place}.allow_insecure_http allows http, on a test network"
                yield f"{place}.{name}", f"must be https ({words})"


def _algorithms(settings: Settings) -> Found:
    for place, issuer in _placed(settings):
        key = f"{place}.algorithms"
        if not issuer.algorithms:
            yield key, "at least one is needed"
        for name in issuer.algorithms:
            if name.lower() == "none":
                yield key, "none is refused: a token must be signed"
            elif name[:2].upper() == "HS":
                yield key, f"{name} is refused: whoever checks such a token could make one"
            elif name not in (*ASYMMETRIC, "EdDSA"):
                yield key, f"{name!r} is not a known algorithm, such as RS256 or ES256"


def _introspection(settings: Settings) -> Found:
    for place, issuer in _placed(settings):
        has_secret = bool(issuer.client_secret.reveal())
        if issuer.client_id and not has_secret:
            yield f"{place}.client_secret", f"is needed with {place}.client_id"
        elif has_secret and not issuer.client_id:
            yield f"{place}.client_id", f"is needed with {place}.client_secret"
        elif issuer.introspection_endpoint and not issuer.client_id:
            words = "needs client_id and client_secret as well: it answers nobody else"
            yield f"{place}.introspection_endpoint", words
    if settings.bearer.introspect and not settings.bearer.audiences:
        yield "bearer.introspect", "needs bearer.audiences as well: whom a token must be for"


def _ways(settings: Settings) -> Found:
    """What the rules about providers say of an issuer's proxy and claims."""
    for (place, written), whole in zip(_placed(settings), issuers_of(settings), strict=True):
        as_provider = whole.model_copy(update={"claims": written.claims})
        it = Placed(place, as_provider, whole)
        for problems in (https_proxy_problems, claims_problems):
            yield from ((f"{place}.{name}", message) for name, message in problems(it))


ISSUERS: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("bearer.issuers", "provider.name", "providers"), _names),
    (
        (
            *("bearer.issuers", "bearer.audiences", "public_url", "identity.issuer"),
            "providers",
        ),
        _issuers,
    ),
    (("bearer.issuers",), _addresses),
    (("bearer.issuers",), _algorithms),
    (("bearer.issuers", "bearer.introspect", "bearer.audiences"), _introspection),
    (("bearer.issuers",), _ways),
)
