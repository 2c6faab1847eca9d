"""A whole place for tests: provider, upstream, proxy and browsers, on loopback ports."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
from yarl import URL

from proxy.config.settings import Settings
from proxy.demo.people import Client
from proxy.web.app import App
from proxy.web.log import Log
from proxy.web.world import World
from tests.fakes.clock import FakeClock
from tests.fakes.provider import Dialect, FakeProvider
from tests.fakes.upstream import EchoUpstream, verified_identity

PUBLIC = "https://play.example.gouv.fr"
HOST = "play.example.gouv.fr"
SECRET = base64.urlsafe_b64encode(bytes(range(7, 39))).decode()
SECRETS = ("code", "state", "nonce", "code_verifier", "client_secret", "id_token_hint")
PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9", "Sec-Fetch-Mode": "navigate"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read whole."""

    status: int
    headers: Any
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        return str(self.headers.get("Location", ""))

    @property
    def set_cookies(self) -> list[str]:
        return list(self.headers.getall("Set-Cookie", []))


class Browser:
    """Keeps cookies as a browser does, and shows each answer without following it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.cookies: dict[str, str] = {}

    async def request(
        self,
        method: str,
        path: str,
        *,
        page: bool = True,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        port: int = 0,
    ) -> Answer:
        """One request; ``path`` may also be a URL of the proxy's public origin."""
        path = path.removeprefix(self._place.public) or "/"
        given = {"Host": self._place.host, **(PAGE if page else {}), **(headers or {})}
        if self.cookies and "Cookie" not in given:
            given["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        url = f"http://127.0.0.1:{port or self._place.port}"
        async with self._place.http.request(
            method, URL(url + path, encoded=True), headers=given, data=data,
            allow_redirects=False,
        ) as response:  # fmt: skip
            answer = Answer(response.status, response.headers, await response.read())
        self._take(answer.set_cookies)
        return answer

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        return await self.request("POST", path, **options)

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            name, value = line.partition(";")[0].split("=", 1)
            if "; Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    async def sign_in(self, path: str = "/", user: str = "alice", provider: str = "") -> Answer:
        """From a protected path through the provider and back; the callback's answer.

        ``provider``: the one that is chosen on the way, where there are several.
        """
        return await self.get(await self.callback_url(path, user, provider))

    async def callback_url(self, path: str = "/", user: str = "alice", provider: str = "") -> str:
        """As far as the provider's redirect back to us."""
        chosen = f"/oauth2/start?provider={provider}&rd={quote(path)}" if provider else path
        start = await self.get(chosen)
        assert start.status == 302, start
        idp = self._place.idps.get(provider, self._place.provider)
        idp.forget()
        return await idp.sign_in(start.location, user)

    @property
    def session(self) -> str | None:
        """The value of the session cookie."""
        return self.cookies.get("__Host-auth_proxy")


class Place:
    """``async with Place(access={...}) as place``: everything runs; settings as in the file.

    ``providers=[{"name": "one"}, {"name": "two"}]``: each gets a fake of its own, in ``idps``,
    unless it names an ``issuer_url``; ``provider`` is then the first of these.
    """

    def __init__(
        self, dialect: Dialect = "plain", world: World | None = None, **settings: Any
    ) -> None:
        self.clock = FakeClock()
        self.world = world or World(clock=self.clock)
        self._dialect: Dialect = dialect
        self._settings = settings
        self.public = str(settings.get("public_url", PUBLIC))
        self.host = urlsplit(self.public).netloc
        self._stack = AsyncExitStack()
        self.log = io.StringIO()
        self.log_level = "debug"
        self.apps: list[App] = []
        self.idps: dict[str, FakeProvider] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _start(self) -> None:
        enter = self._stack.enter_async_context
        for entry in self._settings.get("providers", ()):
            if "issuer_url" not in entry:
                self.idps[entry["name"]] = await enter(self._fake(f"/{entry['name']}"))
        fakes = [*self.idps.values()] or [await enter(self._fake())]
        self.provider = fakes[0]
        self.upstream = await enter(EchoUpstream())
        self.http = await enter(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        )
        await self.serve()

    def _fake(self, below: str = "") -> FakeProvider:
        paths = self._settings.get("paths", {})
        client = Client(
            "proxy",
            "proxy-secret",
            (self.public + paths.get("callback", "/oauth2/callback") + below,),
            (self.public + paths.get("signed_out", "/oauth2/signed_out"),),
        )
        return FakeProvider(client, dialect=self._dialect, clock=self.clock)

    async def serve(self) -> None:
        """Start what the browsers talk to."""
        await self.start_proxy()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def settings(self) -> Settings:
        return Settings.model_validate(self.options())

    def options(self) -> dict[str, Any]:
        """The configuration, as in the file."""
        given: dict[str, Any] = {
            "public_url": PUBLIC,
            "upstream": self.upstream.url,
            "cookie": {"secret": SECRET},
            "server": {"listen": "127.0.0.1:0", "private_listen": "127.0.0.1:0"},
        }
        client = {"client_id": "proxy", "client_secret": "proxy-secret"}
        provider = {
            "issuer_url": self.provider.issuer,
            **client,
            "scope": "openid email profile groups",
        }
        for section, values in self._settings.items():
            if isinstance(values, dict) and section != "provider":
                given[section] = {**given.get(section, {}), **values}
            elif section not in ("provider", "providers"):
                given[section] = values
        if "providers" in self._settings:
            given["providers"] = [
                {**provider, "issuer_url": self.idps[entry["name"]].issuer, **entry}
                if entry["name"] in self.idps
                else {**client, **entry}
                for entry in self._settings["providers"]
            ]
            return given
        given["provider"] = {**provider, **self._settings.get("provider", {})}
        if given["provider"]["issuer_url"] is None:
            given["provider"].setdefault("server_metadata_url", self.provider.metadata_url)
        return given

    async def start_proxy(self, **settings: Any) -> App:
        """One more proxy on the same settings, or on changed ones; the newest is asked."""
        self._settings |= settings
        log = Log(self.log, self.clock, "json", self.log_level)
        app = await self._stack.enter_async_context(App(self.settings(), log, self.world))
        self.apps.append(app)
        return app

    @property
    def app(self) -> App:
        return self.apps[-1]

    @property
    def port(self) -> int:
        return self.app.port

    def only_slow(self) -> None:
        """Keep every request out of the fast lane."""
        self.app._fronts[False].fast = None

    def browser(self) -> Browser:
        return Browser(self)

    def logged(self) -> str:
        """Everything that was logged so far."""
        for app in self.apps:
            app.parts.log.flush()
        return self.log.getvalue()

    def audited(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one kind of event, oldest first."""
        lines = map(json.loads, self.logged().splitlines())
        return [line for line in lines if line["event"] == event]

    def secrets(self) -> set[str]:
        """What went between browser, proxy and provider and must never be shown or logged."""
        found = set()
        for request in self.provider.requests:
            fields = request.fields
            found |= {value for name in SECRETS for value in fields.getall(name, [])}
            found.add(request.headers.get("Authorization", "").rpartition(" ")[2])
        return {value for value in found if len(value) > 4}

    async def jwks(self) -> dict[str, Any]:
        answer = await self.browser().get("/oauth2/.well-known/jwks.json", page=False)
        return json.loads(answer.body)  # type: ignore[no-any-return]

    async def identity(self, issuer: str = PUBLIC, audience: str = "api") -> dict[str, Any]:
        """The verified claims of the one JWT in the upstream's newest request."""
        tokens = self.upstream.header("X-Forwarded-Identity")
        assert len(tokens) == 1, tokens
        return verified_identity(tokens[0], await self.jwks(), issuer, audience, self.clock())


def query(url: str) -> dict[str, str]:
    """A URL's query, each name once."""
    found = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values()), found
    return {name: values[0] for name, values in found.items()}


def attempt_cookies(cookies: Mapping[str, str]) -> list[str]:
    """The names of begun sign-ins."""
    return sorted(name for name in cookies if re.search(r"_login_[0-9a-f]{16}$", name))
