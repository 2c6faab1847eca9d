"""THE declaration of every option: one field is one option, wherever it is written.

From each field come its key in the file, ``AUTH_PROXY_SECTION_KEY`` in the environment, the
flag ``--section-key``, its checks, and its lines in the generated pages.
"""

# No "from __future__ import annotations": pydantic would compile each hint again at every start.
from typing import Literal

from proxy.config.access import Access, AccessRules, Rule
from proxy.config.keeping import Cookie, Redis, SessionSettings
from proxy.config.listening import Addresses, Mode
from proxy.config.person import Claims, Role
from proxy.config.programs import Bearer, Exchange, Limit, Tokens
from proxy.config.provider import Provider
from proxy.config.section import ALONE, Section, option
from proxy.config.sign_in import Debug, Hooks, Login, Provisioning
from proxy.config.types import (
    Duration,
    EndpointPath,
    Networks,
    PublicUrl,
    Rewrite,
    RoutePath,
    Secret,
    Size,
    Strings,
)
from proxy.config.upstreams import Upstreams
from proxy.config.workers import Workers


class Server(Section):
    listen: Addresses = option(
        "127.0.0.1:4180",
        "addresses that people reach: host:port, unix:/path or systemd[:name]; or off",
    )
    tls_listen: Addresses = option((), "addresses that speak TLS, written as in listen")
    certificate_file: str = option(
        "", "PEM file with the certificate for tls_listen and its chain; read again when changed"
    )
    key_file: str = option("", "PEM file with its key; empty means that certificate_file has it")
    tls_minimum: Literal["1.2", "1.3"] = option("1.2", "oldest TLS version that is spoken")
    redirect_http: bool = option(
        False, "send whoever comes to a TCP address of listen on to public_url, with 308"
    )
    unix_mode: Mode = option("0660", "who may connect to unix sockets, as a file mode")
    private_listen: Addresses = option(
        "127.0.0.1:4181",
        "addresses for /metrics, /ready with detail and JWKS; off switches it off",
    )
    workers: Workers = option(
        1, "processes that serve, all on the same addresses; auto: one for each processor"
    )
    admin_token: Secret = option(
        Secret(""), "bearer token for the administrators' API on private_listen; empty: no API"
    )
    prefix: str = option(
        "/oauth2", "path under which our own endpoints live", pattern=r"^(/\w[\w.-]*)+$"
    )
    trusted_proxies: Networks = option(
        (), "networks whose X-Forwarded-* headers are believed; nobody's by default"
    )
    trust_unix: bool = option(
        False, "believe the X-Forwarded-* headers of whoever connects to a unix socket of listen"
    )
    hosts: Strings = option(
        (), "further host names to answer for, besides that of public_url; '*' for any"
    )
    drain_timeout: Duration = option("30s", "how long running requests may take at shutdown")
    keepalive_timeout: Duration = option("75s", "how long an idle client connection is kept")
    max_connections: int = option(
        16384, "client connections at once; never more than open files allow", ge=16
    )
    header_timeout: Duration = option("10s", "limit on a request's head arriving", gt=0)
    min_body_rate: Size = option(
        "500", "bytes a second at which a request's body must arrive; 0 sets no limit"
    )
    body_grace: Duration = option("20s", "how long a body may arrive more slowly than that", gt=0)
    max_header_size: Size = option(
        "32KiB", "limit on all header lines of a request together", ge=1024
    )
    max_headers: int = option(100, "limit on the number of header lines", ge=10, le=1000)
    max_url_size: Size = option("8KiB", "limit on the request target", ge=256)
    max_body_size: Size = option(0, "limit on a request's body; 0 sets none")


class Paths(Section):
    start: EndpointPath = option("", "path that begins a sign-in; empty means {prefix}/start")
    callback: EndpointPath = option("", "the redirect URI's path; empty means {prefix}/callback")
    sign_in: EndpointPath = option("", "the sign-in page; empty means {prefix}/sign_in")
    sign_out: EndpointPath = option("", "path that signs out; empty means {prefix}/sign_out")
    signed_out: EndpointPath = option(
        "", "where the provider returns after sign-out; empty means {prefix}/signed_out"
    )
    ping: EndpointPath = option("/ping", "liveness: answers 200 without touching anything")
    ready: EndpointPath = option("/ready", "readiness: 200 or 503 without detail")


class IdentityJwt(Section):
    header: str = option(
        "X-Forwarded-Identity", "header that carries the JWT", pattern=r"^[A-Za-z0-9-]+$"
    )
    issuer: str = option("", "iss; empty means public_url")
    audience: Strings = option(("api",), "aud; a route may override it")
    scope: str = option("playground", "scope, separated by spaces")
    ttl: Duration = option(
        "1h", "life of a JWT, never past the session's end; 5m is a good choice", ge=1
    )
    algorithm: Literal["ES256", "RS256", "EdDSA", "HS256"] = option("ES256", "signature algorithm")
    signing_key_files: Strings = option(
        (),
        "PEM files of private keys, one or more in each: the first signs, all are published; no "
        "file makes a key at start",
    )
    shared_secret: Secret = option(Secret(""), "key for HS256, at least 32 bytes, not published")
    claims: Strings = option(
        (
            "email",
            "email_verified",
            "name",
            "preferred_username",
            "groups",
            "role",
            "acr",
            "amr",
            "auth_time",
        ),
        "claims to include besides sub, jti, sid, scope, iss, aud, iat, exp and idp_iss",
    )
    max_groups: int = option(100, "groups beyond this are cut, marked by groups_truncated", ge=1)


class Headers(Section):
    identity: bool = option(True, "send X-Forwarded-User, -Email, -Groups, -Preferred-Username")
    access_token: bool = option(
        False, "send the provider's access token as X-Forwarded-Access-Token"
    )
    extra: dict[str, str] = option({}, "further headers from claims, such as X-Siret: siret")
    strip_session_cookie: bool = option(True, "keep our cookies from the upstream")
    allow_underscores: bool = option(False, "let header names with _ pass to the upstream")


class Forwarding(Section):
    connect_timeout: Duration = option("5s", "limit on connecting to an upstream", gt=0)
    response_timeout: Duration = option("120s", "limit on waiting for the response's head", gt=0)
    idle_timeout: Duration = option("10m", "limit on silence in the middle of a body", gt=0)
    max_connections: int = option(
        256, "connections to one upstream at once, to all of its addresses together", ge=1
    )
    queue_timeout: Duration = option("10s", "limit on waiting for a free connection", gt=0)
    keepalive: Duration = option("60s", "how long an idle upstream connection is kept")
    max_lifetime: Duration = option(
        "10m", "how old a connection to an upstream may be when it is used again", gt=0
    )
    dns_ttl: Duration = option("30s", "how often an upstream's name is looked up again", ge=1)
    ca_file: str = option("", "PEM file of certificate authorities to trust for upstreams")
    verify: bool = option(True, "verify the certificates of https upstreams")
    client_certificate_file: str = option(
        "", "PEM file of the certificate (and its chain) that https upstreams are shown"
    )
    client_key_file: str = option(
        "", "PEM file of its private key, without a password; empty if it is in the same file"
    )
    server_name: str = option(
        "",
        "name to ask https upstreams for, and to check in their certificates, instead of the "
        "host of the URL",
        pattern=r"^[A-Za-z0-9.:_-]*$",
    )


class Route(Section):
    model_config = ALONE

    path: RoutePath = option(
        ..., "'/ping' is exactly that; '/api/*' is /api and all below it", examples=["/api/*"]
    )
    methods: Strings = option((), "methods that the route is for; empty means all")
    upstream: Upstreams = option((), "where to send; empty means the global upstream")
    rewrite: Rewrite | None = option(None, "replaces the matched prefix: '/' turns /api/x into /x")
    access: Access = option(
        Access.REQUIRED, "required; optional (identity if there is one); public (never any)"
    )
    rule: Rule = option({}, "further conditions, besides the global access rules")
    provider: str = option("", "name of the provider that people are sent to from here")
    authorization: Literal["keep", "strip", "replace", "template", "exchange"] = option(
        "keep",
        "the Authorization header: keep, strip, or replace by the identity JWT, by "
        "authorization_template, or by a token that is got by exchange",
    )
    authorization_template: str = option(
        "", "the header's value, with {claims} of the person: Bearer {upstream_key}"
    )
    exchange: Exchange = option({}, "which token to get for the upstream")
    bearer: bool = option(True, "accept bearer tokens on this route")
    errors: Literal["auto", "problem", "openai", "jsonrpc", "text"] = option(
        "auto", "how programs are told of errors; auto follows Accept, problem+json otherwise"
    )
    limits: tuple[Limit, ...] = option((), "further limits, besides the global ones")
    passthrough_prefixes: Strings = option(
        (), "bearer keys that start so pass without a session and without an identity"
    )
    audience: Strings = option((), "aud of the identity JWT on this route")
    preserve_host: bool = option(True, "send the client's Host; false sends the upstream's own")
    origins: Strings = option((), "further origins that may open WebSockets")
    api: bool = option(False, "always answer 401 instead of redirecting to sign in")


class Auth(Section):
    disabled: bool = option(False, "development only: forward everything, without any identity")
    disabled_on_public_address: bool = option(
        False, "allow auth.disabled on an address that others can reach"
    )


class Log(Section):
    format: Literal["json", "text"] = option("text", "one JSON object a line, or text")
    level: Literal["debug", "info", "warning", "error"] = option("info", "least level written")
    access: bool = option(True, "write one line for each request")


class Settings(Section):
    """The whole configuration."""

    public_url: PublicUrl = option(..., "what people type: https://app.example.org")
    upstream: Upstreams = option(
        (), "where requests go: http://app:8501, unix:/run/app.sock, or a list of such"
    )
    provider: Provider = option({}, "the OpenID provider")
    providers: tuple[Provider, ...] = option(
        (), "several providers instead of the one: each as in provider, with a name of its own"
    )
    cookie: Cookie = option({}, "our cookies")
    access: AccessRules = option({}, "who may come in")
    session: SessionSettings = option({}, "how long a sign-in lasts, and where it is kept")
    redis: Redis = option({}, "a Redis that all replicas share")
    identity: IdentityJwt = option({}, "the signed identity that upstreams get")
    headers: Headers = option({}, "the other headers that upstreams get")
    routes: tuple[Route, ...] = option((), "paths that differ from the rest")
    claims: Claims = option({}, "which claim becomes what")
    roles: tuple[Role, ...] = option((), "roles in order of privilege, the highest first")
    default_role: str = option("", "the role of people who have none of roles")
    hooks: Hooks = option({}, "your own code")
    provisioning: Provisioning = option({}, "telling the upstream of new people")
    debug: Debug = option({}, "looking into sign-ins")
    bearer: Bearer = option({}, "bearer tokens of others")
    tokens: Tokens = option({}, "tokens of our own, for programs and terminals")
    limits: tuple[Limit, ...] = option((), "how much may be asked: limits for all routes")
    login: Login = option({}, "the sign-in flow")
    paths: Paths = option({}, "paths of our endpoints, if the provider knows others")
    server: Server = option({}, "listening")
    forwarding: Forwarding = option({}, "how upstreams are spoken to")
    auth: Auth = option({}, "authentication as a whole")
    log: Log = option({}, "what is written to standard error")
