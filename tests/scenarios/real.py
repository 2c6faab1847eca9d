"""The proxy in front of a real provider, and one person's client without a browser."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

import aiohttp

from proxy.config.settings import Settings
from proxy.model import Tokens
from proxy.web.app import App
from proxy.web.log import Log
from proxy.web.world import World
from tests.fakes.upstream import EchoUpstream, verified_identity
from tests.providers.node import browser_session

SECRET = base64.urlsafe_b64encode(bytes(range(32))).decode()
SOON = 10.0
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


@dataclass(slots=True)
class Ahead:
    """The real time, and some seconds more: real providers keep their own clock."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.seconds


class SignIn(Protocol):
    """Goes from the authorization request ``url`` through a provider's pages, as ``login``, to
    the redirect that begins with ``until``; returns it without following."""

    async def __call__(
        self, http: aiohttp.ClientSession, url: str, login: str, *, until: str
    ) -> str: ...


P = TypeVar("P")


@dataclass(slots=True)
class Scene(Generic[P]):
    """Provider, proxy and upstream, all running, and one person's client."""

    provider: P
    at_provider: SignIn
    url: str
    app: App
    upstream: EchoUpstream
    http: aiohttp.ClientSession
    log: io.StringIO
    clock: Ahead

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        """Status, Location and text of an answer to a browser's navigation."""
        where = path if path.startswith("http") else self.url + path
        async with self.http.get(
            where, headers={**PAGE, **headers}, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def callback(self, path: str = "/", login: str = "alice") -> str:
        """As far as the provider's redirect back to us."""
        status, location, text = await self.get(path)
        assert status == 302, text
        until = f"{self.url}/oauth2/callback"
        return await self.at_provider(self.http, location, login, until=until)

    async def sign_in(self, path: str = "/", login: str = "alice") -> None:
        status, location, text = await self.get(await self.callback(path, login))
        assert (status, location) == (303, path), text
        assert (await self.get(path))[0] == 200

    async def sign_out_url(self) -> str:
        """Where our sign-out sends the browser."""
        status, location, text = await self.get(
            "/oauth2/sign_out", **{"Sec-Fetch-Site": "same-origin"}
        )
        assert status == 303, text
        return location

    async def identity(self) -> dict[str, Any]:
        """The newest request's identity, believed because of our JWKS and of nothing else."""
        (token,) = self.upstream.header("X-Forwarded-Identity")
        async with self.http.get(f"{self.url}/oauth2/.well-known/jwks.json") as answer:
            keys = await answer.json()
        return verified_identity(token, keys, self.url, "api", self.clock())

    def cookies(self) -> list[str]:
        """The names of our cookies that the client holds."""
        names = {cookie.key for cookie in self.http.cookie_jar}
        return sorted(name for name in names if name.startswith("auth_proxy"))

    async def tokens(self) -> Tokens:
        """What the client's session keeps of the provider."""
        (value,) = {cookie.value for cookie in self.http.cookie_jar if cookie.key == "auth_proxy"}
        kept = await self.app.parts.keeping.store.load(value, self.clock())
        assert kept is not None
        return kept.session.tokens

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.all_logged().splitlines()]
        return [line for line in lines if line["event"] == event]

    async def until_logged(self, event: str) -> dict[str, Any]:
        """The one line about ``event``, which comes soon."""
        async with asyncio.timeout(SOON):
            while not (lines := self.logged(event)):  # noqa: ASYNC110 - the provider's own thread
                await asyncio.sleep(0.02)
        (line,) = lines
        return line

    def all_logged(self) -> str:
        self.app.parts.log.flush()
        return self.log.getvalue()


@asynccontextmanager
async def real_scene(
    provider: P, at_provider: SignIn, url: str, settings: Mapping[str, Any]
) -> AsyncIterator[Scene[P]]:
    """The proxy runs at ``url``; ``settings`` are as in the configuration file."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        upstream = await enter(EchoUpstream())
        document = {
            "public_url": url,
            "upstream": upstream.url,
            "cookie": {"secret": SECRET},
            "access": {"email_domains": ["example.org"]},
            "server": {"listen": urlsplit(url).netloc, "private_listen": ""},
        }
        log, clock = io.StringIO(), Ahead()
        valid = Settings.model_validate(document | dict(settings))
        app = await enter(App(valid, Log(log, clock, "json", "debug"), World(clock=clock)))
        http = await enter(browser_session())
        yield Scene(provider, at_provider, url, app, upstream, http, log, clock)


def asked(url: str) -> dict[str, str]:
    """The query of a URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
