"""A real small OpenID provider on a loopback port that can be told to misbehave."""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from html import unescape
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urljoin

import aiohttp
from aiohttp import web
from multidict import CIMultiDictProxy, MultiDict, MultiMapping

from proxy.crypto.jwt import generate_signing_key
from proxy.demo.behaviour import Behaviour
from proxy.demo.people import ALICE, BOB, MALLORY, Client, User
from proxy.demo.provider import PROVIDER, ProviderConfig, create_provider
from proxy.demo.state import Provider
from tests.fakes import misbehaviour, proconnect, pushing
from tests.fakes.exchanging import Exchanging
from tests.fakes.signing_out import logout_token, revoke
from tests.fakes.switchable import Switchable

Dialect = Literal["plain", "proconnect"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request that the provider got; ``fields`` is the query or the form body."""

    endpoint: str
    method: str
    headers: CIMultiDictProxy[str]
    fields: MultiMapping[str]


@cache
def signing_key(algorithm: str) -> bytes:
    """The first key of every fake provider: making an RSA key takes long."""
    return generate_signing_key(algorithm)


class FakeProvider:
    """``async with FakeProvider(client) as fake``: running from then on, at ``fake.issuer``.

    ``issuer`` is known before the start. ``host`` is how the issuer names this machine.
    ``dialect`` may also be what makes a behaviour for that issuer.
    """

    def __init__(
        self,
        *clients: Client,
        dialect: Dialect | Callable[[str], Behaviour] = "plain",
        users: tuple[User, ...] = (ALICE, BOB, MALLORY, proconnect.JEAN, proconnect.MARIE),
        algorithm: str = "RS256",
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        base_path: str = "",
    ) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), reuse_port=False)
        self.port: int = self._socket.getsockname()[1]
        path = proconnect.BASE_PATH if dialect == "proconnect" else base_path
        self.issuer = f"http://{host}:{self.port}{path}"
        other = "localhost" if host != "localhost" else "127.0.0.1"
        honest = Behaviour() if dialect == "plain" else proconnect.ProConnect(self.issuer, clock)
        if callable(dialect):
            honest = dialect(self.issuer)
        self.behaviour = Switchable(honest, f"http://{other}:{self.port}/elsewhere", self.issuer)
        self._config = ProviderConfig(
            self.issuer, clients, users, algorithm, signing_key(algorithm)
        )
        self._clock = clock
        self.calls: Counter[str] = Counter()
        self.requests: list[Recorded] = []
        self.exchanging = Exchanging()
        self.provider: Provider
        self._runner: web.AppRunner
        self._browser: aiohttp.ClientSession

    @property
    def metadata_url(self) -> str:
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    async def start(self) -> None:
        """Begin to answer, with empty memory and the first key."""
        app = create_provider(self._config, self._clock, self.behaviour)
        self.provider = app[PROVIDER]
        app.middlewares.append(self._record)
        app.middlewares.append(self.exchanging.middleware)
        app.middlewares.append(pushing.unpack)
        app[pushing.KEPT] = {}
        app.router.add_post(self.provider.path("/par"), pushing.push)
        app.router.add_route("*", "/elsewhere", self._elsewhere)
        app.router.add_post(self.provider.path("/revoke"), revoke)
        app.router.add_post(self.provider.path("/token/revocation"), revoke)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()
        self._browser = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def stop(self) -> None:
        """End every connection and free the port."""
        self.behaviour.release.set()
        await self._browser.close()
        await self._runner.cleanup()

    async def restart(self) -> None:
        """After ``stop``: the same address again; sign-ins and tokens are lost."""
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.behaviour.release.clear()
        await self.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def register(self, client: Client) -> None:
        """Add a client, or replace the one of the same id."""
        self.provider.clients[client.client_id] = client

    def misbehave(self, *names: str) -> None:
        """Switch to exactly these faults of ``misbehaviour``. Raises on an unknown name."""
        if unknown := set(names) - misbehaviour.ALL - misbehaviour.FURTHER:
            raise ValueError(f"no such misbehaviour: {sorted(unknown)}")
        self.behaviour.active = frozenset(names)
        self.behaviour.reached.clear()
        self.behaviour.release.clear()

    def behave(self) -> None:
        """Switch all faults off and let hanging requests go on."""
        self.behaviour.active = frozenset()
        self.behaviour.release.set()

    def offer_revocation(self) -> None:
        """From the next look at its metadata on, tokens can be given back."""
        self.behaviour.more_metadata["revocation_endpoint"] = self.provider.url("/revoke")

    def offer_pushing(self, *, required: bool = False) -> None:
        """From the next look at its metadata on, requests can be pushed (RFC 9126)."""
        more = self.behaviour.more_metadata
        more["pushed_authorization_request_endpoint"] = self.provider.url("/par")
        more["require_pushed_authorization_requests"] = required

    def logout_token(
        self, client_id: str = "proxy", fault: str = "", typ: str = "logout+jwt", **claims: object
    ) -> str:
        """A good logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4), but changed
        by ``claims`` (None removes one) and signed with a ``fault`` of ``misbehaviour.SIGN``.
        """
        return logout_token(self.provider, client_id, fault, typ, claims)

    def rotate_keys(self) -> None:
        """Sign with a new key, and publish only that one."""
        self.provider.keys.rotate()

    def last(self, endpoint: str) -> Recorded:
        """The newest request to an endpoint, such as ``token``; AssertionError without one."""
        found = [request for request in self.requests if request.endpoint == endpoint]
        assert found, f"nobody called {endpoint}"
        return found[-1]

    async def sign_in(self, url: str, user: str = "alice") -> str:
        """Open an authorization URL as a browser would and return where it leads back to.

        Silent when that browser is signed in already (see ``forget``). AssertionError when
        the provider shows a page that is not its form.
        """
        async with self._browser.get(url, allow_redirects=False) as response:
            if response.status == 303:
                return response.headers["Location"]
            text = await response.text()
        action, ticket = (
            re.search(pattern, text)
            for pattern in (r'action="([^"]+)"', r'name="form" value="([^"]+)"')
        )
        assert response.status == 200, f"{response.status}: {text}"
        assert action, text
        assert ticket, text
        async with self._browser.post(
            urljoin(url, unescape(action[1])),
            data={"form": unescape(ticket[1]), "user": user},
            allow_redirects=False,
        ) as response:
            assert response.status == 303, f"{response.status}: {await response.text()}"
            return response.headers["Location"]

    def forget(self) -> None:
        """Make the browser of ``sign_in`` a fresh one."""
        self._browser.cookie_jar.clear()

    @web.middleware
    async def _record(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        endpoint = self._endpoint(request.path)
        self.calls[endpoint] += 1
        fields: MultiDict[str] = MultiDict(request.query)
        if request.method == "POST":
            posted = await request.post()
            fields.extend((name, str(value)) for name, value in posted.items())
        self.requests.append(Recorded(endpoint, request.method, request.headers, fields))
        return await handler(request)

    def _endpoint(self, path: str) -> str:
        name = path.removeprefix(self._config.base_path).removeprefix("/")
        return {
            ".well-known/openid-configuration": "discovery",
            "session/end": "end_session",
        }.get(name, name)

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({})
