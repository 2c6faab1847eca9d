"""ProConnect as its documentation describes it, strict: a dialect for the fake provider."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from aiohttp import web

from proxy.demo.behaviour import Behaviour, OAuthError, PageError
from proxy.demo.keys import Keys
from proxy.demo.people import Client, User
from proxy.model import Json

BASE_PATH = "/api/v2"

JEAN = User(
    username="jean",
    sub="704e024229015d2bd47f7a5e5ab05b35c8336ab403c38022985f8cfadc86fe91",
    name="",
    given_name="Jean",
    family_name="",
    email="Jean.DUPONT@Interieur.gouv.fr",
    extra={
        "usual_name": "DUPONT",
        "uid": "jean.dupont",
        "siret": "11001401500015",
        "idp_id": "71144ab3-ee1a-4401-b7b3-79b44f7daeeb",
        "roles": ["agent_public", "agent_public_etat"],
        "organization_label": "Ministère de l'Intérieur",
    },
)
MARIE = User(
    username="marie",
    sub="9b2c64a01d6f4a0e8c1f5d7730aa9e61c2b8470f5c1d4e21a6cbe9d3f0871254",
    name="",
    given_name="Marie",
    family_name="",
    email="marie@entreprise.example",
    extra={
        "usual_name": "Petit",
        "uid": "marie",
        "siret": "35600000000048",
        "idp_id": "f35d5ee0-9a4b-4a6e-8d31-0a2c2a1c5a9f",
        "roles": [],
        "organization_label": "Entreprise",
    },
)
"""From the private sector: her roles are an empty list."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PARAMETERS = _words(
    "response_type client_id redirect_uri scope state nonce claims acr_values prompt idp_hint "
    "login_hint siret_hint code_challenge code_challenge_method"
)
_ID_TOKEN = _words("sub acr auth_time iss aud exp iat nonce at_hash sid")
_ONE_TO_ONE = _words(
    "given_name usual_name email uid siret idp_id roles organization_label custom siren "
    "organizational_unit belonging_population idp_acr groups"
)
GRANTED = _words("openid given_name usual_name email uid siret idp_id roles organization_label")
"""The scopes that the demo client is allowed; other known ones are refused."""


class ProConnect(Behaviour):
    """Refuses what the documentation does not name; tells people apart by userinfo only."""

    scopes: Mapping[str, tuple[str, ...]] = {
        "openid": ("sub",),
        "phone": ("phone_number",),
        **{name: (name,) for name in _ONE_TO_ONE},
    }
    auth_methods = ("client_secret_post",)
    acr = "eidas1"

    def __init__(self, issuer: str, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._clock = clock
        self.reaches: tuple[str, ...] = (self.acr,)
        """The levels that the person's own provider reaches, the usual one first."""
        self._reached = self.acr

    def check_request(self, params: Mapping[str, str], client: Client) -> None:
        unknown = sorted(set(params) - _PARAMETERS)
        if unknown:
            raise PageError("Y000400", f"Bad Request: unknown parameter {', '.join(unknown)}")
        for name in ("state", "nonce"):
            if len(params.get(name, "")) < 32:
                raise PageError("Y000400", f"Bad Request: {name} is shorter than 32 characters")
        if (
            "@" not in params.get("login_hint", "@")
            or len(params.get("siret_hint", "x" * 14)) != 14
        ):
            raise PageError("Y000400", "Bad Request: a hint cannot be read")
        scopes = set(params.get("scope", "").split())
        if not scopes:
            raise PageError("Y000400", "Bad Request: scope is empty")
        if "openid" not in scopes:
            raise OAuthError("invalid_request", "openid scope must be requested")
        if scopes & set(self.scopes) - GRANTED:
            raise OAuthError("invalid_scope", "requested scope is not allowed")
        if "claims" in params and "acr_values" in params:
            raise PageError("Y000400", "Bad Request: claims and acr_values do not go together")
        self._choose_acr(params.get("claims", "{}"))

    def _choose_acr(self, text: str) -> None:
        """acr_values is a wish, which this one never grants; claims can demand."""
        try:
            acr = json.loads(text).get("id_token", {}).get("acr") or {}
            wanted = acr.get("values") or [acr["value"]] if acr else [self.acr]
        except (ValueError, AttributeError, KeyError):
            raise PageError("Y000400", "Bad Request: claims cannot be read") from None
        reached = [level for level in self.reaches if level in wanted]
        if acr.get("essential") and not reached:
            raise OAuthError("access_denied", "requested ACRs could not be satisfied")
        self._reached = reached[0] if reached else self.acr

    def check_logout(self, params: Mapping[str, str], client: Client | None) -> None:
        target = params.get("post_logout_redirect_uri", "")
        if client is None or target not in client.post_logout_redirect_uris:
            raise PageError("Y030111", "post_logout_redirect_uri not registered")
        if len(params.get("state", "")) < 32:
            raise PageError("Y000400", "Bad Request: state is shorter than 32 characters")

    def id_token_claims(self, claims: dict[str, Json]) -> dict[str, Json]:
        told = {name: value for name, value in claims.items() if name in _ID_TOKEN}
        return told | {"acr": self._reached}

    async def discovery(self, document: dict[str, Json]) -> web.StreamResponse:
        extra = {
            "claims_parameter_supported": True,
            "userinfo_signing_alg_values_supported": ["ES256", "RS256", "HS256"],
            "introspection_endpoint": f"{self._issuer}/token/introspection",
            "revocation_endpoint": f"{self._issuer}/token/revocation",
        }
        return await super().discovery(document | extra)

    async def jwks(self, document: dict[str, Json]) -> web.StreamResponse:
        return web.Response(
            body=json.dumps(document).encode(),
            headers={
                "Content-Type": "application/jwk-set+json; charset=utf-8",
                "Cache-Control": "max-age=600",
            },
        )

    async def userinfo(
        self, claims: dict[str, Json], keys: Keys, client: Client
    ) -> web.StreamResponse:
        now = int(self._clock())
        signed = {"iss": self._issuer, "aud": client.client_id, "iat": now, "exp": now + 60}
        token = keys.sign(claims | signed)
        return web.Response(body=token.encode(), content_type="application/jwt")
