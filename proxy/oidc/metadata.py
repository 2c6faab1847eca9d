"""The provider's metadata: where its endpoints are and what they can do.

OpenID Connect Discovery 1.0 sections 3 and 4; RFC 8414 for the members of OAuth.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.config.settings import Provider
from proxy.errors import ProviderError, Reason

_SUFFIX = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of a provider; an empty endpoint means that it has none.

    ``id_token_algorithms`` are those that the configuration accepts and the provider lists.
    ``token_auth_methods`` is empty and ``pkce_methods`` is ``None`` when it lists nothing.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    token_auth_methods: tuple[str, ...] = ()
    pkce_methods: tuple[str, ...] | None = None
    iss_parameter: bool = False
    id_token_algorithms: tuple[str, ...] = ()
    revocation_endpoint: str = ""


def metadata_url(provider: Provider) -> str:
    """Where the metadata document is. Raises ProviderError when that is not known or not safe.

    An ``issuer_url`` that already ends with the well-known suffix is taken as that document.
    """
    url = provider.server_metadata_url or provider.issuer_url
    if not url:
        raise _invalid("neither provider.issuer_url nor provider.server_metadata_url is set")
    if not provider.server_metadata_url and not url.endswith(_SUFFIX):
        url = url.removesuffix("/") + _SUFFIX
    _check_url("the metadata URL", url, provider)
    return url


def read_metadata(document: object, provider: Provider) -> Metadata:
    """The metadata in a discovery document, checked to be that of the configured provider.

    Endpoints in the settings win over those of the document. Raises ProviderError with
    PROVIDER_METADATA_INVALID and a detail that names what is wrong.
    """
    if not isinstance(document, dict):
        raise _invalid("the document is not a JSON object")
    _check_issuer(document.get("issuer"), provider)
    pkce = _texts(document, "code_challenge_methods_supported")
    return _complete(
        Metadata(
            issuer=_text(document, "issuer"),
            authorization_endpoint=_text(document, "authorization_endpoint"),
            token_endpoint=_text(document, "token_endpoint"),
            jwks_uri=_text(document, "jwks_uri"),
            userinfo_endpoint=_text(document, "userinfo_endpoint"),
            end_session_endpoint=_text(document, "end_session_endpoint"),
            token_auth_methods=_texts(document, "token_endpoint_auth_methods_supported") or (),
            pkce_methods=pkce,
            iss_parameter=_flag(document, "authorization_response_iss_parameter_supported"),
            id_token_algorithms=_common_algorithms(document, provider),
            revocation_endpoint=_usable(document, "revocation_endpoint", provider),
        ),
        provider,
    )


def static_metadata(provider: Provider) -> Metadata:
    """The metadata of a provider without discovery, from the settings alone.

    Raises ProviderError when an endpoint that is needed is not configured.
    """
    if not provider.issuer_url:
        raise _invalid("provider.issuer_url is needed: tokens are compared with it")
    return _complete(
        Metadata(provider.issuer_url, "", "", "", id_token_algorithms=provider.id_token_algorithms),
        provider,
    )


def pkce_used(metadata: Metadata, provider: Provider) -> bool:
    """Whether sign-ins use PKCE (always S256): ``auto`` gives up only on a clear no."""
    if provider.pkce == "auto":
        return not metadata.pkce_methods or "S256" in metadata.pkce_methods
    return provider.pkce == "on"


def _check_issuer(issuer: object, provider: Provider) -> None:
    if not isinstance(issuer, str) or not issuer:
        raise _invalid("the document names no issuer")
    if provider.issuer_url and not provider.issuer_url.endswith(_SUFFIX):
        # an exact comparison of strings, trailing slash included (Discovery 4.3)
        if issuer != provider.issuer_url:
            raise _invalid(
                f"the document's issuer is {ascii(issuer)[:200]}, "
                f"provider.issuer_url is {provider.issuer_url!r}"
            )
    elif issuer.removesuffix("/") + _SUFFIX != metadata_url(provider):
        raise _invalid(
            f"the document's issuer {ascii(issuer)[:200]} does not belong to its URL; "
            "set provider.issuer_url if it is right"
        )


def _complete(found: Metadata, provider: Provider) -> Metadata:
    metadata = Metadata(
        issuer=found.issuer,
        authorization_endpoint=provider.authorization_endpoint or found.authorization_endpoint,
        token_endpoint=provider.token_endpoint or found.token_endpoint,
        jwks_uri=provider.jwks_uri or found.jwks_uri,
        userinfo_endpoint=provider.userinfo_endpoint or found.userinfo_endpoint,
        end_session_endpoint=provider.end_session_endpoint or found.end_session_endpoint,
        token_auth_methods=found.token_auth_methods,
        pkce_methods=found.pkce_methods,
        iss_parameter=found.iss_parameter,
        id_token_algorithms=found.id_token_algorithms,
        revocation_endpoint=found.revocation_endpoint,
    )
    needed = {"authorization_endpoint", "token_endpoint"}
    if not all(name.startswith("HS") for name in metadata.id_token_algorithms):
        needed.add("jwks_uri")
    if provider.claims_source == "userinfo":
        needed.add("userinfo_endpoint")
    for name, url in _endpoints(metadata).items():
        if url:
            _check_url(name, url, provider)
        elif name in needed:
            raise _invalid(f"{name} is not known")
    return metadata


def _endpoints(metadata: Metadata) -> Mapping[str, str]:
    return {
        "issuer": metadata.issuer,
        "authorization_endpoint": metadata.authorization_endpoint,
        "token_endpoint": metadata.token_endpoint,
        "jwks_uri": metadata.jwks_uri,
        "userinfo_endpoint": metadata.userinfo_endpoint,
        "end_session_endpoint": metadata.end_session_endpoint,
    }


def _usable(document: Mapping[str, object], name: str, provider: Provider) -> str:
    """A URL that nothing depends on: empty where it could not be used, which stops nobody."""
    try:
        url = _text(document, name)
        if url:
            _check_url(name, url, provider)
    except ProviderError:
        return ""
    return url


def _check_url(name: str, url: str, provider: Provider) -> None:
    """https, or http on this machine or where the operator allows it; nothing ambiguous."""
    if not all(0x20 < ord(c) < 0x7F for c in url) or "\\" in url or "#" in url:
        raise _invalid(f"{name} is not a plain URL")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _invalid(f"{name} is not a URL") from None
    # a user name can make another host look like this machine: http://localhost:80@elsewhere
    if not host or "@" in parts.netloc:
        raise _invalid(f"{name} has no plain host name")
    if parts.scheme == "https":
        return
    if parts.scheme != "http" or not (provider.allow_insecure_http or _is_loopback(host)):
        raise _invalid(f"{name} is not https (provider.allow_insecure_http is off)")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _common_algorithms(document: Mapping[str, object], provider: Provider) -> tuple[str, ...]:
    listed = _texts(document, "id_token_signing_alg_values_supported")
    if not listed:
        return provider.id_token_algorithms
    common = tuple(name for name in provider.id_token_algorithms if name in listed)
    if not common:
        raise _invalid(
            "the provider signs ID tokens with none of provider.id_token_algorithms; "
            f"it lists {ascii(listed)[:200]}"
        )
    return common


def _text(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(f"{name} is not a text")
    return value


def _texts(document: Mapping[str, object], name: str) -> tuple[str, ...] | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise _invalid(f"{name} is not a list")
    return tuple(item for item in value if isinstance(item, str))


def _flag(document: Mapping[str, object], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise _invalid(f"{name} is neither true nor false")
    return value


def _invalid(detail: str) -> ProviderError:
    return ProviderError(Reason.PROVIDER_METADATA_INVALID, detail)
