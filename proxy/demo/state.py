"""The demo provider as one value: its configuration, its memory, its keys, its behaviour."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiMapping

from proxy.demo.behaviour import Behaviour, OAuthError
from proxy.demo.grants import Grants
from proxy.demo.keys import Keys
from proxy.demo.people import ALICE, BOB, MALLORY, Client, User

SIGN_IN_COOKIE = "demo_provider"


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """What the demo's provider is told.

    ``issuer`` is where it is reached, such as ``http://localhost:4455``; its path, if any, is
    below which all endpoints lie. ``algorithm`` signs ID tokens: ES256 or RS256.
    ``signing_key`` is a PEM private key; empty makes one at start.
    """

    issuer: str
    clients: tuple[Client, ...]
    users: tuple[User, ...] = (ALICE, BOB, MALLORY)
    algorithm: str = "ES256"
    signing_key: bytes = field(default=b"", repr=False)

    @property
    def base_path(self) -> str:
        """The issuer's path without a slash at its end: empty for an issuer at the root."""
        return urlsplit(self.issuer).path.rstrip("/")

    @property
    def secure(self) -> bool:
        return self.issuer.startswith("https:")


class Provider:
    """The running provider, handed to every handler. ``clients`` may grow while it runs."""

    def __init__(
        self, config: ProviderConfig, clock: Callable[[], float], behaviour: Behaviour
    ) -> None:
        self.config = config
        self.clock = clock
        self.behaviour = behaviour
        self.keys = Keys(config.algorithm, config.signing_key)
        self.grants = Grants(clock)
        self.clients: dict[str, Client] = {c.client_id: c for c in config.clients}
        self.users: Mapping[str, User] = {user.username: user for user in config.users}

    def url(self, path: str) -> str:
        """The absolute URL of an endpoint."""
        return self.config.issuer.rstrip("/") + path

    def path(self, path: str) -> str:
        """The path of an endpoint on this server."""
        return self.config.base_path + path

    def metadata(self) -> dict[str, object]:
        """The discovery document (OpenID Connect Discovery section 3, RFC 9207 section 3)."""
        paths, behaviour = self.behaviour.paths, self.behaviour
        claims = {name for names in behaviour.scopes.values() for name in names}
        return {
            "issuer": self.config.issuer,
            "authorization_endpoint": self.url(paths.authorize),
            "token_endpoint": self.url(paths.token),
            "userinfo_endpoint": self.url(paths.userinfo),
            "jwks_uri": self.url(paths.jwks),
            "end_session_endpoint": self.url(paths.end_session),
            "scopes_supported": list(behaviour.scopes),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.config.algorithm],
            "token_endpoint_auth_methods_supported": list(behaviour.auth_methods),
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": sorted({*claims, "acr", "auth_time", "sid"}),
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
            "authorization_response_iss_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
        }


PROVIDER = web.AppKey("PROVIDER", Provider)


def single(values: MultiMapping[str]) -> dict[str, str]:
    """Parameters as a plain dictionary; empty ones count as absent (RFC 6749 section 3.1).

    Raises OAuthError when one comes twice, which the same section forbids.
    """
    for name in values:
        if len(values.getall(name)) > 1:
            raise OAuthError("invalid_request", f"the parameter {name!r} comes more than once")
    return {name: value for name, value in values.items() if value}


def same(first: str, second: str) -> bool:
    """Whether two secrets are equal, in constant time."""
    return hmac.compare_digest(first.encode(), second.encode())


async def form(request: web.Request) -> dict[str, str]:
    """The fields of a form-encoded body. Raises OAuthError for any other body."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "the body is not application/x-www-form-urlencoded")
    fields = await request.post()
    texts: Iterable[object] = fields.values()
    if not all(isinstance(value, str) for value in texts):
        raise OAuthError("invalid_request", "the body holds a file")
    return single(fields)  # type: ignore[arg-type]
