"""Programs: whose bearer tokens are accepted, tokens of our own, and how much each may ask."""

# No "from __future__ import annotations": pydantic would compile each hint again at every start.
from typing import Literal, Self

from pydantic import model_validator

from proxy.config.person import Claims
from proxy.config.section import ALONE, Section, option
from proxy.config.types import Duration, HttpUrl, Secret, Strings


class Issuer(Section):
    """Somebody whose tokens are good here besides the providers."""

    model_config = ALONE

    name: str = option(
        ..., "what it is called in rules and logs; as unique as the names of providers",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", examples=["ci"],
    )  # fmt: skip
    issuer_url: HttpUrl = option(
        ..., "its issuer, exactly as tokens name it", examples=["https://ci.example.org"]
    )
    audiences: Strings = option(
        ..., "aud: one of these must be in the token", min_length=1, examples=[["api"]]
    )
    algorithms: Strings = option(
        ("RS256", "ES256", "PS256", "EdDSA"), "signature algorithms of its tokens; never none"
    )
    jwks_uri: HttpUrl | None = option(None, "its keys; empty means: as its metadata say")
    introspection_endpoint: HttpUrl | None = option(
        None, "where opaque tokens are asked about (RFC 7662)"
    )
    client_id: str = option("", "our client id there, for introspection")
    client_secret: Secret = option(Secret(""), "its secret")
    required_scopes: Strings = option((), "scopes that a token must have, every one")
    claims: Claims = option({}, "which of its claims becomes what, where it differs from claims")
    clock_skew: Duration = option("60s", "tolerance for iat, nbf and exp")
    allow_insecure_http: bool = option(
        False, "accept http URLs that are not on this machine (a test network only)"
    )
    ca_file: str = option("", "PEM file of certificate authorities to trust for it")
    https_proxy: Secret = option(Secret(""), "proxy for calls to it, as in provider")
    timeout: Duration = option("10s", "limit on each call to it", gt=0)


class Bearer(Section):
    audiences: Strings = option(
        (), "accept access and ID tokens of the providers that are for one of these; empty: none"
    )
    introspect: bool = option(
        False, "ask the providers about opaque tokens, where they offer that (RFC 7662)"
    )
    issuers: tuple[Issuer, ...] = option((), "further issuers whose tokens are accepted")
    cache: Duration = option(
        "1m", "how long an answer about an opaque token is believed at most, good or bad"
    )


class Tokens(Section):
    personal: bool = option(False, "people may make tokens of their own at {prefix}/tokens")
    terminal: bool = option(False, "people may sign in a terminal: auth-proxy login")
    prefix: str = option(
        "apx", "how our tokens begin, before an underscore", pattern=r"^[a-z][a-z0-9]{1,9}$"
    )
    max_lifetime: Duration = option("90d", "how long a personal token may be good", ge=60)
    max_per_person: int = option(20, "personal tokens of one person at once", ge=1, le=1000)
    identity_max_age: Duration = option(
        "30d", "how long ago a person must have signed in last for their tokens to be good", ge=60
    )
    scopes: Strings = option(
        (), "scopes that a token may be limited to; empty means those of identity.scope"
    )
    terminal_ttl: Duration = option("12h", "life of a terminal's token", ge=60)
    terminal_refresh: Duration = option(
        "30d", "how long a terminal may renew it without a person; 0 for never"
    )
    select_from: Literal["", "groups"] = option(
        "", "groups: who is in several chooses one of them for the terminal's token"
    )


class Limit(Section):
    """So many requests in a window, or at once, counted for each person, token or address."""

    model_config = ALONE

    per: Literal["person", "token", "address", "route"] = option(
        "person", "what is counted: requests of one person, token or address, or all of them"
    )
    requests: int = option(0, "requests in a window; 0 sets no limit", ge=0, examples=[600])
    window: Duration = option("1m", "how long a window is", ge=1)
    concurrent: int = option(0, "requests at once; 0 sets no limit", ge=0)

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not self.requests and not self.concurrent:
            raise ValueError("a limit needs requests or concurrent")
        return self


class Exchange(Section):
    """A token of the person's for the upstream, got from the provider (RFC 8693)."""

    model_config = ALONE

    audience: str = option("", "audience to ask for; empty asks for no exchange")
    resource: str = option("", "resource to ask for, as a URL (RFC 8707)")
    scope: str = option("", "scopes to ask for, separated by spaces")
