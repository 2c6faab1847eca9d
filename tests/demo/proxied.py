"""What stands in for the proxy in the playground's tests: a key, its JWKS, signed identities."""

from __future__ import annotations

import secrets
from collections import Counter

from aiohttp import web

from proxy.demo.keys import Keys
from proxy.model import Json
from tests.fakes.clock import FakeClock

ISSUER = "https://play.example.org"
AUDIENCE = "api"
HEADER = "X-Forwarded-Identity"


class FakeProxy:
    """Signs identities and publishes its keys; ``down`` makes the JWKS fail."""

    def __init__(self, clock: FakeClock, algorithm: str = "ES256") -> None:
        self.keys = Keys(algorithm)
        self.clock = clock
        self.down = False
        self.calls: Counter[str] = Counter()
        self.app = web.Application()
        self.app.router.add_get("/jwks.json", self._jwks)

    async def _jwks(self, request: web.Request) -> web.Response:
        self.calls["jwks"] += 1
        if self.down:
            return web.Response(status=503)
        return web.json_response(self.keys.document())

    def claims(self, **changes: Json) -> dict[str, Json]:
        """Good claims with changes; None leaves a claim out."""
        now = int(self.clock())
        claims: dict[str, Json] = {
            "sub": "alice-5f0c3b1e",
            "jti": secrets.token_urlsafe(16),
            "scope": "playground",
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 3600,
            "name": "Alice Martin",
            "email": "alice@example.org",
            "groups": ["admins", "dev"],
        }
        return {k: v for k, v in (claims | changes).items() if v is not None}

    def identity(self, **changes: Json) -> str:
        return self.keys.sign(self.claims(**changes))
