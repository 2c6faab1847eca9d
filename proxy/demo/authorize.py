"""The authorization endpoint: who asks, may they, who signs in, and back with a code.

OpenID Connect Core section 3.1.2; RFC 7636 for PKCE; RFC 9207 for ``iss`` in the answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from proxy.demo.behaviour import OAuthError, PageError
from proxy.demo.grants import FORM_LIFE, SIGN_IN_LIFE, AuthorizationRequest, Grant, SignIn
from proxy.demo.pages import page
from proxy.demo.people import Client
from proxy.demo.state import PROVIDER, SIGN_IN_COOKIE, Provider, single

_PROMPTS = frozenset({"none", "login", "consent", "select_account"})


async def authorize(request: web.Request) -> web.StreamResponse:
    """Answer an authorization request: the form, the way back, or a page that says no."""
    provider = request.app[PROVIDER]
    fields = request.query if request.method == "GET" else await request.post()
    try:
        params = single(fields)  # type: ignore[arg-type]
    except OAuthError as error:
        raise PageError(error.error, error.description) from None
    client = check_client(provider, params)
    try:
        asked = read_request(provider, params, client)
        return _sign_in_or_form(provider, request, asked)
    except OAuthError as error:
        return _back(
            provider,
            params["redirect_uri"],
            [("error", error.error), ("error_description", error.description)],
            params.get("state", ""),
        )


def check_client(provider: Provider, params: Mapping[str, str]) -> Client:
    """The client, when it may be redirected to (RFC 6749 section 4.1.2.1). Raises PageError."""
    client = provider.clients.get(params.get("client_id", ""))
    if client is None:
        raise PageError("invalid_client", "This application is not registered here.")
    if params.get("redirect_uri") not in client.redirect_uris:
        raise PageError("invalid_redirect_uri", "The redirect_uri is not registered.")
    return client


def read_request(
    provider: Provider, params: Mapping[str, str], client: Client
) -> AuthorizationRequest:
    """The parameters as a checked value. Raises OAuthError, or PageError by the behaviour."""
    provider.behaviour.check_request(params, client)
    for name in ("request", "request_uri"):
        if name in params:
            raise OAuthError(f"{name}_not_supported", f"{name} is not supported")
    if params.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type must be code")
    if params.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "response_mode must be query")
    scopes = tuple(params.get("scope", "").split())
    if "openid" not in scopes:
        raise OAuthError("invalid_scope", "scope must contain openid")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=params["redirect_uri"],
        scopes=tuple(scope for scope in scopes if scope in provider.behaviour.scopes),
        state=params.get("state", ""),
        nonce=params.get("nonce", ""),
        code_challenge=_challenge(params, client),
        prompt=_prompt(params),
        max_age=_max_age(params),
        login_hint=params.get("login_hint", ""),
    )


def _challenge(params: Mapping[str, str], client: Client) -> str:
    challenge = params.get("code_challenge", "")
    if not challenge:
        if client.public or "code_challenge_method" in params:
            raise OAuthError("invalid_request", "code_challenge is missing")
        return ""
    if params.get("code_challenge_method") != "S256":
        raise OAuthError("invalid_request", "code_challenge_method must be S256")
    if len(challenge) != 43:
        raise OAuthError("invalid_request", "code_challenge is not a SHA-256 in base64url")
    return challenge


def _prompt(params: Mapping[str, str]) -> frozenset[str]:
    prompt = frozenset(params.get("prompt", "").split())
    if not prompt <= _PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise OAuthError("invalid_request", "prompt holds an unknown value, or none with another")
    return prompt


def _max_age(params: Mapping[str, str]) -> float | None:
    text = params.get("max_age")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise OAuthError("invalid_request", "max_age is not a number of seconds")
    return float(text)


def _sign_in_or_form(
    provider: Provider, request: web.Request, asked: AuthorizationRequest
) -> web.StreamResponse:
    sign_in = provider.grants.sign_ins.get(request.cookies.get(SIGN_IN_COOKIE, ""))
    if sign_in is not None and _still_good(sign_in, asked, provider.clock()):
        return _grant(provider, asked, sign_in)
    if "none" in asked.prompt:
        raise OAuthError("login_required", "nobody is signed in here")
    return _form(provider, asked)


def _still_good(sign_in: SignIn, asked: AuthorizationRequest, now: float) -> bool:
    if asked.prompt & {"login", "select_account"}:
        return False
    return asked.max_age is None or now - sign_in.auth_time <= asked.max_age


def _form(
    provider: Provider, asked: AuthorizationRequest, problem: str = "", status: int = 200
) -> web.Response:
    return page(
        "sign_in.html",
        status=status,
        action=provider.path("/sign-in"),
        base=provider.config.base_path,
        form=provider.grants.forms.add(asked, FORM_LIFE),
        people=[user for user in provider.users.values() if user.listed],
        hint=asked.login_hint,
        application=urlsplit(asked.redirect_uri).netloc,
        problem=problem,
    )


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Take the filled-in form: the sign-in is kept in a cookie, and the browser goes back."""
    provider = request.app[PROVIDER]
    # A form on another site must not sign anybody in; clients without the header are no browsers.
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise PageError("cross_site", "This form was sent from another site.")
    fields = await request.post()
    asked = provider.grants.forms.take(str(fields.get("form", "")))
    if asked is None:
        raise PageError("expired", "This form was used or is too old. Please begin again.")
    name = str(fields.get("user") or fields.get("name") or "").strip().lower()
    user = provider.users.get(name)
    if user is None:
        problem = f"Nobody here is called “{name[:60]}”." if name else "Please say who you are."
        return _form(provider, asked, problem, status=400)
    signed_in = SignIn(secrets.token_urlsafe(16), user, provider.clock())
    response = _grant(provider, asked, signed_in)
    response.set_cookie(
        SIGN_IN_COOKIE,
        provider.grants.sign_ins.add(signed_in, SIGN_IN_LIFE),
        path=provider.config.base_path or "/",
        max_age=int(SIGN_IN_LIFE),
        httponly=True,
        secure=provider.config.secure,
        samesite="Lax",
    )
    return response


def _grant(provider: Provider, asked: AuthorizationRequest, sign_in: SignIn) -> web.Response:
    grant = Grant(secrets.token_urlsafe(16), asked, sign_in)
    code = provider.grants.codes.add(grant, provider.behaviour.code_life)
    return _back(provider, asked.redirect_uri, [("code", code)], asked.state)


def _back(
    provider: Provider, redirect_uri: str, params: list[tuple[str, str]], state: str
) -> web.Response:
    # 303: the answer to a form must become a GET (RFC 9700 section 4.12).
    if state:
        params.append(("state", state))
    params.append(("iss", provider.config.issuer))
    query = urlencode(provider.behaviour.callback(params))
    joint = "&" if urlsplit(redirect_uri).query else "?"
    location = f"{redirect_uri}{joint}{query}"
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
