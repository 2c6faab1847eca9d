"""The demo's app behind the proxy: it shows who is there, streams, echoes and takes uploads.

It has no sign-in of its own and believes nothing but the signed identity: a request without a
good one gets 401, except ``/ping``.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from proxy.crypto.jwt import Verified
from proxy.demo.chat import words_of_answer
from proxy.demo.pages import STATIC, render
from proxy.demo.verifier import Expected, IdentityVerifier, Untrusted
from proxy.model import Json

__all__ = ["PlaygroundConfig", "create_playground"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class PlaygroundConfig:
    """What the playground is told. ``word_delay`` is the chat's pause between words, seconds."""

    jwks_url: str
    issuer: str
    audience: str
    header: str = "X-Forwarded-Identity"
    sign_out_path: str = "/oauth2/sign_out"
    word_delay: float = 0.03


_CONFIG = web.AppKey("_CONFIG", PlaygroundConfig)
_CLOCK: web.AppKey[Callable[[], float]] = web.AppKey("_CLOCK")
_VERIFIER = web.AppKey("_VERIFIER", IdentityVerifier)
_SOCKETS = web.AppKey("_SOCKETS", set[web.WebSocketResponse])
_IDENTITY = web.RequestKey("_IDENTITY", Verified)

# No form-action: the sign-out form ends, by redirects, at the provider's origin.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_ASSETS = ("playground.css", "playground.js", "icon.svg")
_SHOWN_HEADERS = ("host", "forwarded", "x-request-id", "x-real-ip", "via")

_MEANINGS: Mapping[str, str] = {
    "sub": "who you are, for good",
    "jti": "the id of this very token",
    "sid": "your session at the proxy",
    "scope": "what you may do here",
    "iss": "who signed it: the proxy",
    "aud": "whom it is for: this app",
    "iat": "signed at",
    "exp": "good until",
    "idp_iss": "where you signed in",
    "auth_time": "when you signed in",
    "acr": "how strongly you signed in",
    "amr": "by what means you signed in",
    "email": "your e-mail address",
    "email_verified": "whether that was checked",
    "name": "your name",
    "given_name": "your first name",
    "family_name": "your last name",
    "preferred_username": "the name you type",
    "groups": "your groups",
}


def create_playground(
    config: PlaygroundConfig, clock: Callable[[], float] = time.time
) -> web.Application:
    """The playground as an aiohttp application."""
    app = web.Application(middlewares=[_identify])
    app[_CONFIG] = config
    app[_CLOCK] = clock

    app[_SOCKETS] = set()
    app.cleanup_ctx.append(_verifier)
    app.on_shutdown.append(_close_sockets)
    app.router.add_get("/", _home)
    app.router.add_get("/ping", _ping)
    app.router.add_get("/whoami", _whoami)
    app.router.add_get("/chat", _chat)
    app.router.add_post("/chat", _chat)
    app.router.add_get("/_event", _echo)
    app.router.add_post("/_upload", _upload)
    for name in _ASSETS:
        app.router.add_get(f"/assets/{name}", _asset(name))
    return app


async def _verifier(app: web.Application) -> AsyncIterator[None]:
    config = app[_CONFIG]
    async with aiohttp.ClientSession() as session:
        expected = Expected(config.issuer, config.audience)
        app[_VERIFIER] = IdentityVerifier(
            config.jwks_url, expected, config.header, session, app[_CLOCK]
        )
        yield


async def _close_sockets(app: web.Application) -> None:
    sockets = app[_SOCKETS]
    for socket in list(sockets):
        await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)


@web.middleware
async def _identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path != "/ping":
        try:
            request[_IDENTITY] = await request.app[_VERIFIER].verify(request.headers)
        except Untrusted as problem:
            body = {"error": "no_identity", "detail": str(problem)}
            return web.json_response(body, status=401, headers={"Cache-Control": "no-store"})
    return await handler(request)


async def _ping(request: web.Request) -> web.StreamResponse:
    return web.Response(text="pong\n")


def _asset(name: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / name, headers={"Cache-Control": "private, max-age=60"})

    return answer


async def _home(request: web.Request) -> web.StreamResponse:
    identity, config = request[_IDENTITY], request.app[_CONFIG]
    claims = identity.claims
    name = str(claims.get("name") or claims.get("preferred_username") or claims["sub"])
    groups = claims.get("groups")
    text = render(
        "playground.html",
        name=name,
        email=claims.get("email", ""),
        groups=groups if isinstance(groups, list) else [],
        subject=claims["sub"],
        issuer=claims.get("idp_iss", ""),
        algorithm=identity.header.get("alg", ""),
        header=config.header,
        rows=[(key, _shown(key, value), _MEANINGS.get(key, "")) for key, value in claims.items()],
        left=_left(claims, request.app[_CLOCK]()),
        expires_at=claims["exp"],
        sign_out=config.sign_out_path,
    )
    return web.Response(text=text, content_type="text/html", headers=_HEADERS)


def _shown(name: str, value: Json) -> str:
    if name in ("iat", "exp", "auth_time") and isinstance(value, int | float):
        return f"{datetime.fromtimestamp(value, UTC):%d %b %Y, %H:%M:%S} UTC"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _left(claims: Mapping[str, Json], now: float) -> str:
    """How long the identity is still good, such as ``59 min 30 s``."""
    exp = claims["exp"]
    seconds = max(0, int(exp - now)) if isinstance(exp, int | float) else 0
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


async def _whoami(request: web.Request) -> web.StreamResponse:
    """The verified claims, and what the proxy sent along; secrets by name or kind only."""
    shown: dict[str, list[str]] = {}
    secret = request.app[_CONFIG].header.lower()
    for name, value in request.headers.items():
        lower = name.lower()
        if lower in _SHOWN_HEADERS or (
            lower.startswith(("x-forwarded-", "x-auth-request-"))
            and not lower.endswith("-token")
            and lower != secret
        ):
            shown.setdefault(name, []).append(value)
    return web.json_response(
        {
            "claims": dict(request[_IDENTITY].claims),
            "headers": shown,
            "cookies": sorted(request.cookies),
            "authorization": request.headers.get("Authorization", "").partition(" ")[0],
        },
        headers={"Cache-Control": "no-store"},
    )


async def _chat(request: web.Request) -> web.StreamResponse:
    """Server-sent events: one word each, then ``done`` (HTML standard, section 9.2)."""
    fields = request.query if request.method == "GET" else await request.post()
    words = words_of_answer(str(fields.get("m", "")), request[_IDENTITY].claims)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    try:
        for word in words:
            await response.write(f"data: {word}\n\n".encode())
            await asyncio.sleep(request.app[_CONFIG].word_delay)
        await response.write(b"event: done\ndata:\n\n")
    except ConnectionResetError:
        pass  # the reader has left in the middle; there is nobody to tell
    return response


async def _echo(request: web.Request) -> web.StreamResponse:
    """A WebSocket that sends back what it gets, text as text and bytes as bytes."""
    socket = web.WebSocketResponse(heartbeat=30, max_msg_size=64 * 1024)
    await socket.prepare(request)
    request.app[_SOCKETS].add(socket)
    try:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
    except ConnectionResetError:
        pass  # gone before the echo was out
    finally:
        request.app[_SOCKETS].discard(socket)
    return socket


async def _upload(request: web.Request) -> web.StreamResponse:
    """Take a body of any size as it comes, and tell its size in bytes and its SHA-256."""
    size, digest = 0, hashlib.sha256()
    async for chunk in request.content.iter_chunked(64 * 1024):
        size += len(chunk)
        digest.update(chunk)
    answer = {"size": size, "sha256": digest.hexdigest()}
    return web.json_response(answer, headers={"Cache-Control": "no-store"})
