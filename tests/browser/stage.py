"""What the browser looks at: the demo's proxy and playground, on ports of their own."""

from __future__ import annotations

import io
import json
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page, expect

from proxy.config.settings import Server, Settings
from proxy.demo.people import User
from proxy.demo.playground import PlaygroundConfig, create_playground
from proxy.demo.run import demo_settings, listening
from proxy.web.app import App
from proxy.web.log import Log
from tests.browser.providers import (
    CLIENT_SECRET,
    NPM,
    ProviderInBrowser,
    embedded_provider,
    npm_provider,
    several_providers,
)

WORD_DELAY = 0.02


@dataclass(slots=True)
class Stage:
    """A running proxy at ``url`` (http://localhost:PORT) with the playground behind it."""

    name: str
    url: str
    provider: ProviderInBrowser
    app: App
    log: io.StringIO

    async def sign_in(self, page: Page, login: str, path: str = "/") -> None:
        """From ``path`` through the provider's form; returns once the browser is back here."""
        await page.goto(self.url + path)
        await self.fill_in(page, login)
        await page.wait_for_url(f"{self.url}/**")

    async def fill_in(self, page: Page, login: str, *, allowed: bool = False) -> None:
        """Sign in on the provider's form, which must be what ``page`` shows."""
        assert page.url.startswith(self.provider.issuer), page.url
        await self.provider.sign_in(page, login, allowed)

    async def sign_out(self, page: Page) -> None:
        """By the playground's button, through the provider, to our signed-out page."""
        await page.get_by_role("button", name="Sign out").click()
        await self.provider.confirm_sign_out(page)
        await expect(page).to_have_url(self.signed_out)

    @property
    def signed_out(self) -> re.Pattern[str]:
        """Matches the URL of our signed-out page, with or without a state."""
        return re.compile(rf"^{re.escape(self.url)}/oauth2/signed_out(\?state=[\w-]{{32,}})?$")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log's lines about ``event``, oldest first."""
        self.app.parts.log.flush()
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listened on a moment ago, all different."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@asynccontextmanager
async def stage(
    name: str, people: tuple[User, ...] = (), several: bool = False, **changes: Any
) -> AsyncIterator[Stage]:
    """Everything runs, as ``auth-proxy demo`` sets it up; ``changes`` are whole sections.

    The embedded provider knows ``people`` besides its own; with ``several`` it plays two.
    """
    proxy_port, provider_port = free_ports(2)
    url = f"http://localhost:{proxy_port}"
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        if name == NPM:
            provider = await enter(npm_provider(url))
        else:
            provider = await enter(embedded_provider(url, provider_port, people))
        playground = PlaygroundConfig(
            f"{url}/oauth2/.well-known/jwks.json", issuer=url, audience="api",
            word_delay=WORD_DELAY,
        )  # fmt: skip
        app_port = await enter(listening(create_playground(playground), "127.0.0.1:0"))
        if several:
            changes["providers"] = several_providers(provider.issuer)
        settings = _settings(url, provider.issuer, app_port, changes)
        log = io.StringIO()
        app = await enter(App(settings, Log(log, time.time, "json", "debug")))
        yield Stage(name, url, provider, app, log)


def _settings(url: str, issuer: str, app_port: int, changes: dict[str, Any]) -> Settings:
    settings = demo_settings("127.0.0.1", url, issuer, app_port, CLIENT_SECRET)
    listen = Server(listen=settings.server.listen, private_listen=())
    return settings.model_copy(update={"server": listen, **changes})
