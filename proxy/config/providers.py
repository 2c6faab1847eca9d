"""The providers that people sign in with, each whole: what was written, its preset, the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from proxy.config.person import Claims
from proxy.config.presets import ENTRA_LOGIN, PRESETS
from proxy.config.programs import Issuer
from proxy.config.provider import Provider
from proxy.config.section import Section
from proxy.config.settings import Settings

ONLY: Final = "default"
"""What the one provider of ``provider`` is called when it was given no name."""

TEMPLATE: Final = "{tenantid}"
"""In an issuer: whichever tenant the token names (as Entra's metadata has it)."""


def providers_of(settings: Settings) -> tuple[Provider, ...]:
    """Every provider in order, the first of which is the one that nobody chose.

    What its entry says wins over its preset, and that over the defaults; of claims, the
    entry's own, then ``claims`` of the settings, then the preset's. Each has a name.
    """
    given = settings.providers or (settings.provider,)
    return tuple(resolved(provider, settings.claims) for provider in given)


def places_of(settings: Settings) -> tuple[str, ...]:
    """Where each of them was written: ``provider``, or ``providers.0``, ``providers.1`` …"""
    if not settings.providers:
        return ("provider",)
    return tuple(f"providers.{number}" for number in range(len(settings.providers)))


def names_of(settings: Settings) -> tuple[str, ...]:
    """What each of them is called."""
    given = settings.providers or (settings.provider,)
    return tuple(provider.name or ONLY for provider in given)


def installation(settings: Settings) -> str:
    """Whose sessions these are: of one client at one provider. Providers may join and leave a
    list of several, and nobody else is signed out."""
    if settings.providers:
        return f"providers {settings.public_url}"
    provider = providers_of(settings)[0]
    return f"{provider.issuer_url or provider.server_metadata_url or ''} {provider.client_id}"


def resolved(provider: Provider, everywhere: Claims) -> Provider:
    """One of them, with preset and claims folded in."""
    facts = _facts(provider)
    known = _filled(PRESETS.get(provider.preset, {}), facts)
    whole = {**known, **_written(provider), "name": provider.name or ONLY}
    whole["claims"] = {
        **known.get("claims", {}),
        **_written(everywhere),
        **_written(provider.claims),
    }
    return Provider.model_validate(whole)


def issuers_of(settings: Settings) -> tuple[Provider, ...]:
    """The further issuers of ``bearer.issuers`` in order, each as a provider whose tokens count
    and which nobody is sent to. Its own claims win over those of the settings."""
    return tuple(_as_provider(issuer, settings.claims) for issuer in settings.bearer.issuers)


def _as_provider(issuer: Issuer, everywhere: Claims) -> Provider:
    names = set(Issuer.model_fields) & set(Provider.model_fields)
    return Provider.model_validate(
        {
            **{name: getattr(issuer, name) for name in names},
            "claims": {**_written(everywhere), **_written(issuer.claims)},
            "id_token_algorithms": issuer.algorithms,
            "token_auth_method": "client_secret_basic",
        }
    )


def _written(section: Section) -> dict[str, Any]:
    """What somebody set, as it is."""
    return {name: getattr(section, name) for name in section.model_fields_set}


_FACT = re.compile(r"\{(\w+)\}")


def _filled(value: Mapping[str, Any], facts: Mapping[str, str]) -> dict[str, Any]:
    """A preset with what its texts name put in; without texts that name what is not there."""
    filled = {name: _text(inner, facts) for name, inner in value.items()}
    return {name: inner for name, inner in filled.items() if inner not in ("", ())}


def _text(value: Any, facts: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        # each once: what the operator wrote is no template
        whole = all(facts.get(name, name) for name in _FACT.findall(value))
        return _FACT.sub(lambda found: facts.get(found[1], found[0]), value) if whole else ""
    if isinstance(value, tuple):
        return tuple(filter(None, (_text(item, facts) for item in value)))
    return _filled(value, facts) if isinstance(value, Mapping) else value


def _facts(provider: Provider) -> Mapping[str, str]:
    tenant = provider.entra.tenant
    return {
        "entra_login": ENTRA_LOGIN[provider.entra.cloud],
        "entra_tenant": tenant,
        "issuing_tenant": _ISSUING.get(tenant, tenant),
        # a dot in a client id is no step of a path
        "client_id": provider.client_id.replace(".", "\\."),
        "github_url": provider.github.url.rstrip("/"),
    }


_ISSUING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "common": TEMPLATE,
        "organizations": TEMPLATE,
        "consumers": "9188040d-6c67-4c5b-b112-36a304b66dad",
    }
)
