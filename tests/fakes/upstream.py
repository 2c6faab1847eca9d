"""An upstream that records what it gets and believes nothing but the JWKS."""

from __future__ import annotations

import asyncio
import hashlib
import json
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from proxy.crypto.jwk import parse_jwks
from proxy.crypto.jwt import verify


class EchoUpstream:
    """``async with EchoUpstream() as upstream``: an app at ``upstream.url``.

    ``/sse`` streams what ``say`` is given, ``/ws`` echoes, ``/upload`` answers a digest,
    anything else answers what it saw as JSON.
    """

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.events: asyncio.Queue[str | None] = asyncio.Queue()
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self.gone = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**30)
        app.router.add_get("/sse", self._sse)
        app.router.add_get("/ws", self._websocket)
        app.router.add_post("/upload", self._upload)
        app.router.add_get("/hold", self._hold)
        app.router.add_get("/cookies", self._cookies)
        app.router.add_route("*", "/{path:.*}", self._echo)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release.set()
        self.events.put_nowait(None)
        await self._runner.cleanup()

    @property
    def last(self) -> dict[str, Any]:
        return self.seen[-1]

    def header(self, name: str) -> list[str]:
        """Every value of a header in the newest request, whatever its case."""
        return [value for key, value in self.last["headers"] if key.lower() == name.lower()]

    async def _record(self, request: web.Request) -> dict[str, Any]:
        document = {
            "method": request.method,
            "target": request.raw_path,
            "headers": [(k.decode("latin-1"), v.decode("latin-1")) for k, v in request.raw_headers],
            "body": (await request.read()).decode("latin-1"),
        }
        self.seen.append(document)
        return document

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await self._record(request))

    async def _cookies(self, request: web.Request) -> web.StreamResponse:
        response = web.json_response({})
        response.headers.add("Set-Cookie", "app=1; Path=/")
        response.headers.add("Set-Cookie", "__Host-auth_proxy=stolen; Path=/; Secure")
        response.headers.add("Set-Cookie", "__Host-auth_proxy.1=stolen; Path=/; Secure")
        response.headers["X-Auth-Request-User"] = "somebody"
        return response

    async def _sse(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while (event := await self.events.get()) is not None:
                await response.write(f"data: {event}\n\n".encode())
        finally:
            self.gone.set()
        return response

    async def _hold(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        self.arrived.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise
        return web.Response(text="released")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        digest, size = hashlib.sha256(), 0
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            size += len(chunk)
        return web.json_response({"size": size, "sha256": digest.hexdigest()})


def verified_identity(
    token: str, jwks: dict[str, Any], issuer: str, audience: str, now: float
) -> dict[str, Any]:
    """What an upstream may believe of a token; AssertionError for anything it may not."""
    claims = dict(verify(token, parse_jwks(jwks), {"ES256", "RS256", "EdDSA"}).claims)
    assert claims["iss"] == issuer
    assert claims["aud"] == audience
    assert isinstance(claims["exp"], int)
    assert isinstance(claims["iat"], int)
    assert claims["iat"] <= now < claims["exp"], (claims, now)
    assert isinstance(claims["sub"], str)
    assert claims["sub"]
    assert isinstance(claims["jti"], str)
    assert claims["jti"]
    return json.loads(json.dumps(claims))  # type: ignore[no-any-return]
