"""The token endpoint: client authentication, codes and refresh tokens, and what is issued.

RFC 6749 sections 2.3, 4.1.3, 5 and 6; OpenID Connect Core sections 3.1.3 and 12.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote_plus

from aiohttp import web

from proxy.crypto.jwk import encode_base64url
from proxy.demo.behaviour import NO_STORE, OAuthError
from proxy.demo.grants import Grant
from proxy.demo.people import Client, claims_of
from proxy.demo.state import PROVIDER, Provider, form, same
from proxy.model import Json


async def token(request: web.Request) -> web.StreamResponse:
    """Answer a token request, errors included, as RFC 6749 section 5 has it."""
    provider = request.app[PROVIDER]
    try:
        params = await form(request)
        client = authenticate(provider, request.headers.get("Authorization"), params)
        grant = _redeem(provider, params, client)
    except OAuthError as error:
        headers = dict(NO_STORE)
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="token", charset="UTF-8"'
        body = {"error": error.error, "error_description": error.description}
        return web.json_response(body, status=error.status, headers=headers)
    return await provider.behaviour.token(issue(provider, grant, params["grant_type"]))


def authenticate(
    provider: Provider, authorization: str | None, params: Mapping[str, str]
) -> Client:
    """The client that sent a request, by exactly one method. Raises OAuthError."""
    if authorization is not None:
        if "client_secret" in params:
            raise OAuthError("invalid_request", "two ways of client authentication at once")
        method = "client_secret_basic"
        client_id, secret = _basic(authorization)
        if params.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_request", "client_id differs from the Authorization header")
    else:
        client_id, secret = params.get("client_id", ""), params.get("client_secret", "")
        method = "client_secret_post" if secret else "none"
    client = provider.clients.get(client_id)
    if (
        client is None
        or method not in provider.behaviour.auth_methods
        or client.public != (method == "none")
        or not same(client.secret, secret)
    ):
        raise OAuthError("invalid_client", "client authentication failed", status=401)
    return client


def _basic(authorization: str) -> tuple[str, str]:
    """Id and secret, each form-encoded before base64 (RFC 6749 section 2.3.1)."""
    scheme, _, value = authorization.partition(" ")
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    if scheme.lower() != "basic" or ":" not in text:
        raise OAuthError("invalid_client", "the Authorization header cannot be read", status=401)
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _redeem(provider: Provider, params: Mapping[str, str], client: Client) -> Grant:
    match params.get("grant_type"):
        case "authorization_code":
            return _redeem_code(provider, params, client)
        case "refresh_token":
            return _redeem_refresh(provider, params, client)
        case None:
            raise OAuthError("invalid_request", "grant_type is missing")
        case _:
            raise OAuthError("unsupported_grant_type", "this grant_type is not supported")


def _redeem_code(provider: Provider, params: Mapping[str, str], client: Client) -> Grant:
    if "code" not in params:
        raise OAuthError("invalid_request", "code is missing")
    grant = provider.grants.spend(provider.grants.codes, params["code"])
    # One sentence for every cause: it tells a thief nothing.
    refused = OAuthError("invalid_grant", "the code is unknown, used, expired or not yours")
    if grant is None or grant.request.client_id != client.client_id:
        raise refused
    if params.get("redirect_uri") != grant.request.redirect_uri:
        raise refused
    if not _proves(params.get("code_verifier", ""), grant.request.code_challenge):
        raise refused
    return grant


def _proves(verifier: str, challenge: str) -> bool:
    """PKCE (RFC 7636 section 4.6); a verifier without a challenge is a downgrade (RFC 9700)."""
    if not challenge or not verifier:
        return not challenge and not verifier
    if not (43 <= len(verifier) <= 128 and verifier.isascii()):
        return False
    return same(encode_base64url(hashlib.sha256(verifier.encode()).digest()), challenge)


def _redeem_refresh(provider: Provider, params: Mapping[str, str], client: Client) -> Grant:
    if "refresh_token" not in params:
        raise OAuthError("invalid_request", "refresh_token is missing")
    shelf = provider.grants.refresh_tokens
    held = shelf.get(params["refresh_token"])
    if held is not None and held.request.client_id != client.client_id:
        raise OAuthError("invalid_grant", "the refresh token is not yours")
    asked = tuple(params.get("scope", "").split())
    if held is not None and not set(asked) <= set(held.request.scopes):
        raise OAuthError("invalid_scope", "scope is wider than what was granted")
    grant = provider.grants.spend(shelf, params["refresh_token"])
    if grant is None:
        raise OAuthError("invalid_grant", "the refresh token is unknown, used or expired")
    return replace(grant, request=replace(grant.request, scopes=asked)) if asked else grant


def issue(provider: Provider, grant: Grant, grant_type: str) -> dict[str, Json]:
    """The token response of a good grant; each refresh gives a new refresh token."""
    behaviour, grants = provider.behaviour, provider.grants
    access_token = grants.access_tokens.add(grant, behaviour.token_life)
    claims = id_token_claims(provider, grant, access_token, fresh=grant_type != "refresh_token")
    return {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": int(behaviour.token_life),
        "refresh_token": grants.refresh_tokens.add(grant, behaviour.refresh_life),
        "scope": " ".join(grant.request.scopes),
        "id_token": behaviour.sign_id_token(provider.keys, claims),
    }


def id_token_claims(
    provider: Provider, grant: Grant, access_token: str, *, fresh: bool
) -> dict[str, Json]:
    """The claims of an ID token (OpenID Connect Core section 2).

    The nonce belongs to the ``fresh`` one of a sign-in only (section 12.2).
    """
    now = int(provider.clock())
    claims: dict[str, Json] = {
        "iss": provider.config.issuer,
        "aud": grant.request.client_id,
        "exp": now + int(provider.behaviour.token_life),
        "iat": now,
        "auth_time": int(grant.sign_in.auth_time),
        "acr": provider.behaviour.acr,
        "sid": grant.sign_in.sid,
        "at_hash": encode_base64url(hashlib.sha256(access_token.encode()).digest()[:16]),
    }
    if fresh and grant.request.nonce:
        claims["nonce"] = grant.request.nonce
    claims |= claims_of(grant.sign_in.user, grant.request.scopes, provider.behaviour.scopes)
    return provider.behaviour.id_token_claims(claims)
