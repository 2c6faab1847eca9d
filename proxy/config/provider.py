"""An OpenID provider, or GitHub: where it is, what we are there, and what it is asked."""

# No "from __future__ import annotations": pydantic would compile each hint again at every start.
from typing import Literal

from proxy.config.person import Claims
from proxy.config.section import ALONE, Section, option
from proxy.config.types import Duration, HttpUrl, Secret, Strings

TokenAuthMethod = Literal[
    "auto",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "none",
]


class Entra(Section):
    """What only Microsoft Entra has (preset: entra)."""

    tenant: str = option(
        "", "the tenant's id; organizations, common or consumers for people of many tenants",
        pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|organizations|common|consumers)?$",
    )  # fmt: skip
    allowed_tenants: Strings = option(
        (), "ids of the tenants whose people may come; needed where there are many"
    )
    cloud: Literal["global", "us_government", "china"] = option("global", "which of the clouds")
    graph_groups: Literal["auto", "always", "never"] = option(
        "auto", "read groups from Microsoft Graph: auto where the ID token has no room for them"
    )
    graph_failure: Literal["refuse", "no_groups"] = option(
        "refuse", "what to do while Graph does not answer: refuse to sign in, or go on without"
    )
    graph_max_pages: int = option(200, "pages of groups to read at most", ge=1, le=1000)
    graph_url: HttpUrl | None = option(None, "Graph's address, where it is not the cloud's")
    service_principal_id: str = option(
        "", "object id of our enterprise application: only groups assigned to it count",
        pattern=r"^[A-Za-z0-9-]*$",
    )  # fmt: skip


class GitHub(Section):
    """What only GitHub has (preset: github)."""

    url: HttpUrl = option("https://github.com", "GitHub, or a GitHub Enterprise Server")
    api_url: HttpUrl | None = option(
        None, "its API; empty means api.github.com, or /api/v3 of an Enterprise Server"
    )
    teams: bool = option(True, "read teams as groups named organisation:team")


class Provider(Section):
    model_config = ALONE

    name: str = option(
        "", "what it is called in links, logs and rules; needed in providers",
        pattern=r"^([a-z0-9][a-z0-9_-]{0,31})?$",
    )  # fmt: skip
    preset: Literal[
        "", "google", "entra", "proconnect", "keycloak", "okta", "auth0", "gitlab", "github"
    ] = option("", "a provider whose ways are known: sets what is not set here")
    label: str = option("", "its name on the sign-in page; empty means the preset's, or name")
    email_domains: Strings = option(
        (), "domains that it may speak for, written as in access; the sign-in page knows them"
    )
    issuer_url: HttpUrl | None = option(
        None, "the provider's issuer, exactly as its tokens name it; its metadata is discovered"
    )
    server_metadata_url: HttpUrl | None = option(
        None, "the provider's metadata document, where it is not below issuer_url"
    )
    client_id: str = option("", "the client id that the provider gave")
    client_secret: Secret = option(
        Secret(""), "the client secret; leave out for a public client (token_auth_method: none)"
    )
    scope: str = option("openid email profile", "scopes to ask for, separated by spaces")
    token_auth_method: TokenAuthMethod = option(
        "auto", "how to authenticate at the token endpoint; auto follows the metadata"
    )
    client_key_file: str = option(
        "", "PEM file of the private key for private_key_jwt; with its certificate, if need be"
    )
    client_key_id: str = option("", "kid of that key; empty means its RFC 7638 thumbprint")
    client_assertion_file: str = option(
        "", "file with a ready assertion for private_key_jwt, read at each use (federation)"
    )
    client_assertion_audience: Literal["issuer", "token_endpoint"] = option(
        "issuer", "aud of the assertions that we sign"
    )
    tls_certificate_file: str = option(
        "", "PEM file of the certificate (and its chain) that the provider is shown (RFC 8705)"
    )
    tls_key_file: str = option("", "PEM file of its key; empty if it is in the same file")
    pushed_authorization: Literal["auto", "on", "off"] = option(
        "auto", "push the authorization request (RFC 9126); auto wherever it is offered"
    )
    pkce: Literal["auto", "on", "off"] = option(
        "auto",
        "PKCE with S256; auto switches it off only if the provider lists methods without S256",
    )
    id_token_algorithms: Strings = option(
        ("RS256", "ES256", "PS256", "EdDSA"),
        "signature algorithms accepted for ID tokens; HS256 only if named here; never none",
    )
    authorization_endpoint: HttpUrl | None = option(None, "overrides or replaces discovery")
    token_endpoint: HttpUrl | None = option(None, "overrides or replaces discovery")
    userinfo_endpoint: HttpUrl | None = option(None, "overrides or replaces discovery")
    jwks_uri: HttpUrl | None = option(None, "overrides or replaces discovery")
    end_session_endpoint: HttpUrl | None = option(None, "overrides or replaces discovery")
    pushed_authorization_request_endpoint: HttpUrl | None = option(
        None, "overrides or replaces discovery"
    )
    discovery: bool = option(True, "read the metadata document; false needs the endpoints above")
    claims: Claims = option({}, "which of its claims becomes what, where it differs from claims")
    claims_source: Literal["merge", "userinfo", "id_token"] = option(
        "merge", "where claims come from: ID token and userinfo merged, or only one of them"
    )
    userinfo_format: Literal["auto", "json", "jwt"] = option(
        "auto", "what userinfo must be: JSON, a signed JWT, or whichever the provider sends"
    )
    hosted_domains: Strings = option(
        (), "Google Workspace domains whose people may come (claim hd)"
    )
    acr_request: Literal["acr_values", "claims"] = option(
        "acr_values", "how a stronger context class is asked for: acr_values, or essential claims"
    )
    fresh_sign_in: Literal["max_age", "prompt"] = option(
        "max_age", "how a fresh sign-in is asked for: max_age, or prompt=login"
    )
    authorization_params: dict[str, str] = option(
        {}, "fixed extra parameters for the authorization request, such as prompt or acr_values"
    )
    allowed_login_params: Strings = option(
        (), "parameters that a link to the start path may pass on, such as login_hint"
    )
    extra_headers: dict[str, str] = option({}, "headers added to calls to the provider")
    allow_insecure_http: bool = option(
        False, "accept http URLs that are not on this machine (a test network only)"
    )
    ca_file: str = option("", "PEM file of certificate authorities to trust for the provider")
    https_proxy: Secret = option(
        Secret(""), "proxy for calls to the provider: http://proxy:3128, also with user:password@"
    )
    timeout: Duration = option("10s", "limit on each call to the provider", gt=0)
    clock_skew: Duration = option("60s", "tolerance for iat, nbf and exp")
    metadata_ttl: Duration = option("1h", "how long metadata and keys are kept before a re-read")
    check_every: Duration = option(
        "30s", "how often the provider is asked whether it is well, for /ready", ge=1
    )
    entra: Entra = option({}, "what only Microsoft Entra has")
    github: GitHub = option({}, "what only GitHub has")
