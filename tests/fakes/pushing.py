"""Pushed authorization requests at the fake provider (RFC 9126): kept, and good for one use."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from proxy.demo.behaviour import OAuthError
from proxy.demo.state import PROVIDER, form
from proxy.demo.tokens import authenticate
from tests.fakes.switchable import Switchable

_PREFIX = "urn:ietf:params:oauth:request_uri:"
KEPT: web.AppKey[dict[str, dict[str, str]]] = web.AppKey("kept")
"""Parameters by their request_uri."""


async def push(request: web.Request) -> web.StreamResponse:
    """RFC 9126 section 2."""
    provider = request.app[PROVIDER]
    try:
        params = await form(request)
        authenticate(provider, request.headers.get("Authorization"), params)
        if "request_uri" in params:
            raise OAuthError("invalid_request", "request_uri may not be pushed")
    except OAuthError as error:
        return web.json_response({"error": error.error}, status=error.status)
    uri = _PREFIX + secrets.token_urlsafe(16)
    request.app[KEPT][uri] = {n: v for n, v in params.items() if n != "client_secret"}
    behaviour = cast(Switchable, provider.behaviour)
    return await behaviour.push({"request_uri": uri, "expires_in": 60})


@web.middleware
async def unpack(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The parameters in place of their name, for whoever reads the request (section 4)."""
    uri = request.query.get("request_uri", "")
    if not uri.startswith(_PREFIX):
        return await handler(request)
    kept = request.app[KEPT].pop(uri, None)
    if kept is None or set(request.query) != {"client_id", "request_uri"}:
        return web.Response(status=400, text="the request is not known, or says too much")
    if kept.get("client_id") != request.query["client_id"]:
        return web.Response(status=400, text="the request is another client's")
    return await handler(request.clone(rel_url=request.rel_url.with_query(kept)))
