"""A small real OpenID provider for the demo: code flow, PKCE, refresh, userinfo, sign-out.

It asks for no password. ``create_provider`` is the way in; the steps are in ``authorize`` and
``tokens``, what may differ in ``behaviour``.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from proxy.demo import authorize, tokens
from proxy.demo.behaviour import Behaviour, OAuthError, PageError
from proxy.demo.pages import STATIC, page
from proxy.demo.people import Client, User, claims_of
from proxy.demo.state import PROVIDER, SIGN_IN_COOKIE, Provider, ProviderConfig, single
from proxy.model import Json

__all__ = ["PROVIDER", "Client", "ProviderConfig", "User", "create_provider"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_provider(
    config: ProviderConfig,
    clock: Callable[[], float] = time.time,
    behaviour: Behaviour | None = None,
) -> web.Application:
    """The provider as an aiohttp application; its ``PROVIDER`` key holds the running state.

    All state is in memory: after a restart everybody signs in again.
    """
    provider = Provider(config, clock, behaviour or Behaviour())
    app = web.Application(middlewares=[_pages_for_errors], client_max_size=64 * 1024)
    app[PROVIDER] = provider
    paths, at = provider.behaviour.paths, provider.path
    app.router.add_get(at("/.well-known/openid-configuration"), _discovery)
    app.router.add_get(at(paths.jwks), _jwks)
    app.router.add_get(at(paths.authorize), authorize.authorize)
    app.router.add_post(at(paths.authorize), authorize.authorize)
    app.router.add_post(at("/sign-in"), authorize.sign_in)
    app.router.add_post(at(paths.token), tokens.token)
    app.router.add_get(at(paths.userinfo), _userinfo)
    app.router.add_post(at(paths.userinfo), _userinfo)
    app.router.add_get(at(paths.end_session), _end_session)
    app.router.add_post(at(paths.end_session), _end_session)
    app.router.add_get(at("/style.css"), _static("provider.css"))
    app.router.add_get(at("/icon.svg"), _static("icon.svg"))
    app.router.add_get(at("") or "/", _home)
    return app


@web.middleware
async def _pages_for_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except PageError as error:
        return page(
            "refused.html",
            status=400,
            base=request.app[PROVIDER].config.base_path,
            code=error.code,
            message=error.message,
        )


async def _home(request: web.Request) -> web.StreamResponse:
    provider = request.app[PROVIDER]
    sign_in = provider.grants.sign_ins.get(request.cookies.get(SIGN_IN_COOKIE, ""))
    return page(
        "home.html",
        base=provider.config.base_path,
        issuer=provider.config.issuer,
        name=sign_in.user.name if sign_in else "",
        end_session=provider.path(provider.behaviour.paths.end_session),
    )


def _static(name: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / name, headers={"Cache-Control": "max-age=600"})

    return answer


async def _discovery(request: web.Request) -> web.StreamResponse:
    provider = request.app[PROVIDER]
    return await provider.behaviour.discovery(provider.metadata())


async def _jwks(request: web.Request) -> web.StreamResponse:
    provider = request.app[PROVIDER]
    return await provider.behaviour.jwks(provider.keys.document())


async def _userinfo(request: web.Request) -> web.StreamResponse:
    """OpenID Connect Core section 5.3; errors as RFC 6750 section 3."""
    provider = request.app[PROVIDER]
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    grant = provider.grants.access_tokens.get(token.strip())
    if scheme.lower() != "bearer" or grant is None:
        problem = 'Bearer error="invalid_token"' if token else "Bearer"
        return web.Response(status=401, headers={"WWW-Authenticate": problem})
    scopes = grant.request.scopes
    claims = claims_of(grant.sign_in.user, scopes, provider.behaviour.scopes)
    client = provider.clients[grant.request.client_id]
    return await provider.behaviour.userinfo(claims, provider.keys, client)


async def _end_session(request: web.Request) -> web.StreamResponse:
    """OpenID Connect RP-Initiated Logout section 2."""
    provider = request.app[PROVIDER]
    fields = request.query if request.method == "GET" else await request.post()
    try:
        params = single(fields)  # type: ignore[arg-type]
    except OAuthError as error:
        raise PageError(error.error, error.description) from None
    hint = _hint(provider, params)
    client = _logout_client(provider, params, hint)
    provider.behaviour.check_logout(params, client)
    target = params.get("post_logout_redirect_uri", "")
    if target and (client is None or target not in client.post_logout_redirect_uris):
        raise PageError("invalid_request", "The post_logout_redirect_uri is not registered.")
    sign_in = provider.grants.sign_ins.get(request.cookies.get(SIGN_IN_COOKIE, ""))
    for sid in {sign_in.sid if sign_in else "", str(hint.get("sid", ""))}:
        provider.grants.end(sid)
    response = _signed_out(provider, target, params.get("state", ""))
    response.del_cookie(SIGN_IN_COOKIE, path=provider.config.base_path or "/")
    return response


def _hint(provider: Provider, params: Mapping[str, str]) -> Mapping[str, Json]:
    """The claims of the ID token given as a hint; an expired one still tells who (section 2)."""
    if "id_token_hint" not in params:
        return {}
    claims = provider.keys.verified(params["id_token_hint"])
    if claims is None or claims.get("iss") != provider.config.issuer:
        raise PageError("invalid_request", "The id_token_hint is not one of ours.")
    return claims


def _logout_client(
    provider: Provider, params: Mapping[str, str], hint: Mapping[str, Json]
) -> Client | None:
    audience, named = hint.get("aud"), params.get("client_id")
    if audience is not None and named is not None and audience != named:
        raise PageError("invalid_request", "The client_id is not that of the id_token_hint.")
    return provider.clients.get(str(named or audience or ""))


def _signed_out(provider: Provider, target: str, state: str) -> web.Response:
    if not target:
        return page("signed_out.html", base=provider.config.base_path)
    joint = "&" if urlsplit(target).query else "?"
    location = f"{target}{joint}{urlencode({'state': state})}" if state else target
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
