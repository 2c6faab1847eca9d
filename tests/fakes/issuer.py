"""An issuer of bearer tokens on a loopback port: its metadata, its keys, and introspection."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.crypto.forge import Key, rsa_key, token

API = "https://api.example.org"
CLIENT, SECRET = "us", "our secret: 100% of it"


class FakeIssuer:
    """``async with FakeIssuer(clock) as issuer``. ``keys`` are published, the first signs;
    ``known`` are opaque tokens and what is said of them; ``gate`` holds introspection up.
    """

    def __init__(self, clock: object, *keys: Key) -> None:
        self._clock = clock
        self.keys = list(keys or (rsa_key("issuer"),))
        self.known: dict[str, Mapping[str, object]] = {}
        self.more_metadata: dict[str, object] = {}
        self.calls: Counter[str] = Counter()
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.status = 200
        self.url = ""
        self._runner: web.AppRunner

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._metadata)
        app.router.add_get("/keys", self._jwks)
        app.router.add_post("/introspect", self._introspect)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.gate.set()
        await self._runner.cleanup()

    def claims(self, **changes: object) -> dict[str, object]:
        """Those of a good token; None leaves one out."""
        now = self._clock()  # type: ignore[operator]
        good = {
            "iss": self.url,
            "sub": "robot-1",
            "aud": API,
            "exp": now + 600,
            "iat": now,
            "jti": "jti-1",
            "email": "robot@example.org",
            "groups": ["dev"],
            "scope": "models",
        }
        return {name: value for name, value in (good | changes).items() if value is not None}

    def made(self, key: Key | None = None, **changes: object) -> str:
        """A signed token, good but for what is said."""
        return token(self.claims(**changes), key or self.keys[0], "RS256", typ="at+jwt")

    def knows(self, text: str, **changes: object) -> None:
        """An opaque token that is good, but for what is said."""
        self.known[text] = {"active": True, "token_type": "Bearer"} | self.claims(**changes)

    def settings(self, name: str = "ci", **more: object) -> dict[str, object]:
        """An entry of ``bearer.issuers``."""
        return {"name": name, "issuer_url": self.url, "audiences": [API], **more}

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        self.calls["metadata"] += 1
        document = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "introspection_endpoint": f"{self.url}/introspect",
        }
        return web.json_response(document | self.more_metadata, status=self.status)

    async def _jwks(self, request: web.Request) -> web.StreamResponse:
        self.calls["keys"] += 1
        document = {"keys": [key.jwk() for key in self.keys]}
        return web.json_response(document, status=self.status)

    async def _introspect(self, request: web.Request) -> web.StreamResponse:
        self.calls["introspect"] += 1
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((request.headers.get("Authorization", ""), form))
        await self.gate.wait()
        if not request.headers.get("Authorization", "").startswith("Basic "):
            return web.json_response({"error": "invalid_client"}, status=401)
        answer = self.known.get(form.get("token", ""), {"active": False})
        return web.json_response(dict(answer), status=self.status)


def basic_pair(header: str) -> str:
    """What Basic credentials hold, still form-encoded."""
    return base64.b64decode(header.removeprefix("Basic ")).decode()
