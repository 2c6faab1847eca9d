"""The provider's metadata: where its endpoints are and what they can do.

OpenID Connect Discovery 1.0 sections 3 and 4; RFC 8414 for the members of OAuth, RFC 9126
section 5 and RFC 8705 section 5 for those of theirs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from proxy.config.provider import Provider
from proxy.errors import ProviderError, Reason

_SUFFIX = "/.well-known/openid-configuration"
_OVERRIDES = (
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "end_session_endpoint",
    "pushed_authorization_request_endpoint",
)
"""Endpoints that the settings may name, too."""


class Incomplete(ProviderError):
    """Something needed is not there: ``missing`` names options, for whoever asks on the private
    listener (R140)."""

    def __init__(self, detail: str, missing: Sequence[str]) -> None:
        super().__init__(Reason.PROVIDER_METADATA_INVALID, detail)
        self.missing = tuple(missing)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of a provider; an empty endpoint means that it has none.

    ``id_token_algorithms`` are those that the configuration accepts and the provider lists.
    ``token_auth_methods`` and ``token_auth_algorithms`` are empty, and ``pkce_methods`` is
    ``None``, when it lists nothing. ``requires_pushed``: no request but a pushed one will do.
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
    pushed_authorization_request_endpoint: str = ""
    requires_pushed: bool = False
    token_auth_algorithms: tuple[str, ...] = ()
    introspection_endpoint: str = ""


def metadata_url(provider: Provider) -> str:
    """Where the metadata document is. Raises ProviderError when that is not known or not safe.

    An ``issuer_url`` that already ends with the well-known suffix is taken as that document.
    """
    url = provider.server_metadata_url or provider.issuer_url
    if not url:
        detail = "neither provider.issuer_url nor provider.server_metadata_url is set"
        raise Incomplete(detail, ["issuer_url"])
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
    at = _Endpoints(document, provider)
    return _complete(
        Metadata(
            issuer=_text(document, "issuer"),
            authorization_endpoint=_text(document, "authorization_endpoint"),
            token_endpoint=at.named("token_endpoint"),
            jwks_uri=_text(document, "jwks_uri"),
            userinfo_endpoint=at.named("userinfo_endpoint"),
            end_session_endpoint=_text(document, "end_session_endpoint"),
            token_auth_methods=_texts(document, "token_endpoint_auth_methods_supported") or (),
            pkce_methods=_texts(document, "code_challenge_methods_supported"),
            iss_parameter=_flag(document, "authorization_response_iss_parameter_supported"),
            id_token_algorithms=_common_algorithms(document, provider),
            revocation_endpoint=at.usable("revocation_endpoint"),
            introspection_endpoint=at.usable("introspection_endpoint"),
            pushed_authorization_request_endpoint=at.named("pushed_authorization_request_endpoint"),
            requires_pushed=_flag(document, "require_pushed_authorization_requests"),
            token_auth_algorithms=_texts(
                document, "token_endpoint_auth_signing_alg_values_supported"
            )
            or (),
        ),
        provider,
    )


def static_metadata(provider: Provider) -> Metadata:
    """The metadata of a provider without discovery, from the settings alone.

    Raises ProviderError when an endpoint that is needed is not configured.
    """
    if not provider.issuer_url:
        detail = "provider.issuer_url is needed: tokens are compared with it"
        raise Incomplete(detail, ["issuer_url"])
    return _complete(
        Metadata(provider.issuer_url, "", "", "", id_token_algorithms=provider.id_token_algorithms),
        provider,
    )


def read_issuer(document: object, provider: Provider) -> Metadata:
    """The metadata of one whose tokens alone count: who it is, its keys, and where to ask about
    opaque tokens (RFC 8414 section 2). Nothing else of it is read. Raises ProviderError.
    """
    if not isinstance(document, dict):
        raise _invalid("the document is not a JSON object")
    _check_issuer(document.get("issuer"), provider)
    metadata = issuer_metadata(provider, provider.jwks_uri or _text(document, "jwks_uri"))
    asked = _Endpoints(document, provider).usable("introspection_endpoint")
    return replace(metadata, introspection_endpoint=asked)


def issuer_metadata(provider: Provider, jwks_uri: str = "") -> Metadata:
    """The same where it is the settings that say so."""
    if jwks_uri:
        _check_url("jwks_uri", jwks_uri, provider)
    algorithms = provider.id_token_algorithms
    return Metadata(provider.issuer_url or "", "", "", jwks_uri, id_token_algorithms=algorithms)


def pkce_used(metadata: Metadata, provider: Provider) -> bool:
    """Whether sign-ins use PKCE (always S256): ``auto`` gives up only on a clear no."""
    if provider.pkce == "auto":
        return not metadata.pkce_methods or "S256" in metadata.pkce_methods
    return provider.pkce == "on"


def uses_tls_certificate(provider: Provider) -> bool:
    """Does the connection's certificate prove who we are (RFC 8705)?"""
    if provider.token_auth_method == "auto":
        signs = provider.client_key_file or provider.client_assertion_file
        return bool(provider.tls_certificate_file and not signs)
    return provider.token_auth_method == "tls_client_auth"


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
    given = {name: getattr(provider, name) or getattr(found, name) for name in _OVERRIDES}
    metadata = replace(found, **given)
    needed = {"authorization_endpoint", "token_endpoint"}
    if not all(name.startswith("HS") for name in metadata.id_token_algorithms):
        needed.add("jwks_uri")
    if provider.claims_source == "userinfo":
        needed.add("userinfo_endpoint")
    if provider.pushed_authorization == "on" or metadata.requires_pushed:
        needed.add("pushed_authorization_request_endpoint")
    endpoints = _endpoints(metadata)
    if missing := [name for name, url in endpoints.items() if name in needed and not url]:
        raise Incomplete(f"not known: {', '.join(missing)}", missing)
    for name, url in endpoints.items():
        if url:
            _check_url(name, url, provider)
    return metadata


def _endpoints(metadata: Metadata) -> Mapping[str, str]:
    return {name: getattr(metadata, name) for name in ("issuer", *_OVERRIDES)}


class _Endpoints:
    """The endpoints of a document that we ask ourselves: their aliases for whoever shows a
    certificate there (RFC 8705 section 5)."""

    def __init__(self, document: Mapping[str, object], provider: Provider) -> None:
        aliases = document.get("mtls_endpoint_aliases", {})
        if not isinstance(aliases, dict):
            raise _invalid("mtls_endpoint_aliases is not an object")
        self._document = {**document, **aliases} if uses_tls_certificate(provider) else document
        self._provider = provider

    def named(self, name: str) -> str:
        return _text(self._document, name)

    def usable(self, name: str) -> str:
        """One that nothing depends on: empty where it could not be used, which stops nobody."""
        try:
            url = self.named(name)
            if url:
                _check_url(name, url, self._provider)
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
