"""The cast of these tests: one provider, its keys, one sign-in at one moment."""

from __future__ import annotations

from proxy.config.provider import Provider
from proxy.config.types import Secret
from proxy.crypto.jwt import VerificationKeys, parse_jwks
from proxy.oidc.attempt import Attempt, Callback, check_callback
from proxy.oidc.metadata import Metadata
from tests.crypto.forge import ec_key, rsa_key

NOW = 1_800_000_000.0
ISSUER = "https://idp.example.org/api/v2"
CLIENT = "our-client"
SECRET = "a client secret of 32 characters"
REDIRECT = "https://app.example.org/oauth2/callback"
STATE, NONCE, VERIFIER = "s" * 43, "n" * 43, "v" * 43
ATTEMPT = Attempt(STATE, NONCE, VERIFIER, "/chat?m=1", NOW - 5)
METADATA = Metadata(
    issuer=ISSUER,
    authorization_endpoint=f"{ISSUER}/authorize",
    token_endpoint=f"{ISSUER}/token",
    jwks_uri=f"{ISSUER}/jwks",
    userinfo_endpoint=f"{ISSUER}/userinfo",
    end_session_endpoint=f"{ISSUER}/session/end",
    id_token_algorithms=("RS256", "ES256"),
)


def provider(**options: object) -> Provider:
    defaults = {"issuer_url": ISSUER, "client_id": CLIENT, "client_secret": Secret(SECRET)}
    return Provider.model_validate(defaults | options)


def keys() -> VerificationKeys:
    return parse_jwks({"keys": [rsa_key().jwk(), ec_key().jwk()]})


def callback(code: str = "the code") -> Callback:
    params = [("code", code), ("state", STATE)]
    return check_callback(params, ATTEMPT, METADATA, NOW, 600)
