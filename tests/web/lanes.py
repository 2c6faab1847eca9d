"""A place where the fast lane is at work, and what it did with each request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from proxy.web.connection import ClientConnection
from proxy.wire.inbound import Request
from tests.web.place import Browser, Place

ROUTES = [
    {"path": "/open/*", "access": "public"},
    {"path": "/maybe/*", "access": "optional"},
    {"path": "/admin/*", "rule": {"groups": {"any": ["admins"]}}},
    {"path": "/keys/*", "passthrough_prefixes": ["sk-"]},
]
SESSION = "__Host-auth_proxy"
AUTH = "/oauth2/auth"


class Lanes:
    """Takes note of what the fast lane did with each request that it was offered."""

    def __init__(self, place: Place) -> None:
        lane = place.app.parts.fast
        self.taken: list[bool] = []
        take = lane.take

        def noting(connection: ClientConnection, request: Request, data: bytes, end: int) -> bool:
            self.taken.append(took := take(connection, request, data, end))
            return took

        lane.take = noting  # type: ignore[method-assign]


@dataclass(slots=True)
class Scene:
    """A place with somebody signed in, and with idle connections to the upstream."""

    place: Place
    browser: Browser
    lanes: Lanes

    async def ask(
        self, path: str, *, browser: Browser | None = None, method: str = "GET", **options: Any
    ) -> tuple[bool, int]:
        """Whether the fast lane took the request, and the status of the answer."""
        before = len(self.lanes.taken)
        who = browser or self.browser
        answer = await who.request(method, path, page=False, **options)
        (took,) = self.lanes.taken[before:]
        return took, answer.status

    async def raw(self, data: bytes) -> bytes:
        return await spoken(self.place, data)


async def spoken(place: Place, data: bytes) -> bytes:
    """What the client gets for ``data``, until its connection ends or breaks."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(data)
    answer = bytearray()
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            while part := await reader.read(65536):
                answer += part
    writer.transport.abort()
    return bytes(answer)


@contextlib.asynccontextmanager
async def acting(**settings: Any) -> AsyncIterator[Scene]:
    async with Place(**{"routes": ROUTES, **settings}) as place:
        lanes, browser = Lanes(place), place.browser()
        if not settings.get("auth", {}).get("disabled"):
            await browser.sign_in()
        scene = Scene(place, browser, lanes)
        for _ in range(3):  # opens a connection, clears the memory of the sign-in away
            await browser.get("/warm", page=False)
        yield scene


def cookies(scene: Scene, *more: str) -> dict[str, str]:
    """The header with the session of whoever is signed in, and with ``more``."""
    return {"Cookie": "; ".join([f"{SESSION}={scene.browser.session}", *more])}
