"""OpenGateLLM's admin API, as far as users are made by it, in the ways of two of its versions.

As its sources have it: ``GET /v1/admin/users?email=`` looks for the whole address and answers 404
(``older``), or for a part of it and answers a list; ``POST`` answers 201, or 409 for an address
that is there. Roles are ``role`` in the older version and ``role_id`` in the newer one.
"""

from __future__ import annotations

import asyncio
import itertools
from types import TracebackType
from typing import Any, Self

from aiohttp import web


class OpenGateLLM:
    """``async with OpenGateLLM() as fake``: at ``fake.url``, with the key ``fake.admin_key``."""

    def __init__(self, *, older: bool = False) -> None:
        self.admin_key = "sk-admin-0dcb2d1e58a84d3b"
        self.users: list[dict[str, Any]] = []
        self.calls: list[tuple[str, int]] = []
        """Method and status of every call."""
        self.fail: list[int] = []
        """Statuses of the next answers."""
        self.together = 0
        """So many GETs wait for one another: none sees what another does then."""
        self._older = older
        self._numbers = itertools.count(1)
        self._waiting = 0
        self._all_there = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/v1/admin/users", self._get)
        app.router.add_post("/v1/admin/users", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def add(self, email: str, role: int = 1) -> None:
        """A user who was there before."""
        self.users.append({"id": next(self._numbers), "email": email, "role": role})

    def emails(self) -> list[str]:
        return [user["email"] for user in self.users]

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.fail:
            answer = web.json_response({"detail": "no"}, status=self.fail.pop(0))
        elif request.headers.get("Authorization") != f"Bearer {self.admin_key}":
            answer = web.json_response({"detail": "Invalid API key."}, status=401)
        else:
            answer = await handler(request)
        self.calls.append((request.method, answer.status))
        return answer

    async def _get(self, request: web.Request) -> web.Response:
        if self.together:
            self._waiting += 1
            if self._waiting == self.together:
                self._all_there.set()
            await self._all_there.wait()
        email = request.query["email"]
        if not self._older:
            found = [user for user in self.users if email in user["email"]]
            page = found[: int(request.query["limit"])]
            return web.json_response({"object": "list", "total": len(found), "data": page})
        found = [user for user in self.users if email == user["email"]]
        if not found:
            return web.json_response({"detail": "User not found."}, status=404)
        return web.json_response({"object": "list", "data": found})

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.json()
        role = body.get("role" if self._older else "role_id")
        if not (isinstance(role, int) and 1 <= len(body["password"]) <= 72):
            return web.json_response({"detail": "invalid"}, status=422)
        if role == 404:
            return web.json_response({"detail": "Role 404 not found."}, status=404)
        if body["email"] in self.emails():
            detail = f"User {body['email']} already exists."
            return web.json_response({"detail": detail}, status=409)
        user = {"id": next(self._numbers), "role": role, **body}
        self.users.append(user)
        return web.json_response({"id": user["id"]}, status=201)
