"""The token exchange (RFC 8693) of the fake provider, which can be told to go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

from proxy.demo.behaviour import NO_STORE, OAuthError
from proxy.demo.state import PROVIDER, Provider, form
from proxy.demo.tokens import authenticate

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(slots=True)
class Exchanging:
    """``given`` are the tokens that it gave, each with its request; ``changes`` are made to its
    answers (None removes a member), ``status`` and ``body`` replace them. Nobody is answered
    before ``go``; each request releases ``arrived``.
    """

    audiences: frozenset[str] = frozenset({"api", "other"})
    life: float = 300.0
    changes: dict[str, object] = field(default_factory=dict)
    status: int = 200
    body: bytes | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    asked: list[Mapping[str, str]] = field(default_factory=list)
    given: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.go.set()

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        provider = request.app[PROVIDER]
        if request.method != "POST" or request.path != provider.path(
            provider.behaviour.paths.token
        ):
            return await handler(request)
        if (await request.post()).get("grant_type") != GRANT_TYPE:
            return await handler(request)
        try:
            params = await form(request)
            self.asked.append(params)
            self.arrived.release()
            await self.go.wait()
            if self.body is not None or self.status != 200:
                return web.Response(status=self.status, body=self.body or b"")
            answer = self._exchange(provider, request.headers.get("Authorization"), params)
        except OAuthError as error:
            said = {"error": error.error, "error_description": error.description}
            return web.json_response(said, status=error.status, headers=NO_STORE)
        changed = {name: v for name, v in (answer | self.changes).items() if v is not None}
        return web.json_response(changed, headers=NO_STORE)

    def _exchange(
        self, provider: Provider, authorization: str | None, params: Mapping[str, str]
    ) -> dict[str, object]:
        client = authenticate(provider, authorization, params)
        grant = provider.grants.access_tokens.get(params.get("subject_token", ""))
        if params.get("subject_token_type") != TOKEN_TYPE:
            raise OAuthError("invalid_request", "subject_token_type")
        if grant is None or grant.request.client_id != client.client_id:
            raise OAuthError("invalid_grant", f"no token: {params.get('subject_token')}")
        resource = params.get("resource", "")
        if params.get("audience", "api") not in self.audiences or (
            resource and not urlsplit(resource).scheme
        ):
            raise OAuthError("invalid_target", "unknown audience")
        token = provider.grants.access_tokens.add(grant, self.life)
        self.given[token] = {**params, "user": grant.sign_in.user.username}
        return {
            "access_token": token,
            "issued_token_type": TOKEN_TYPE,
            "token_type": "Bearer",
            "expires_in": int(self.life),
        }
