"""The two providers that the browser meets, and what a person does on the pages of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from playwright.async_api import Page

from proxy.config.provider import Provider
from proxy.config.types import Secret
from proxy.demo.people import User
from proxy.demo.provider import create_provider
from proxy.demo.run import CLIENT_ID, listening, provider_config
from tests.providers import node

NPM = "npm oidc-provider"
EMBEDDED = "embedded provider"
NODE_MODULES = node.HERE / "node_modules" / "oidc-provider"
SEVERAL = ("staff", "guests")
"""Names of providers that the embedded one plays, where a proxy has several."""
CLIENT_SECRET = "the-tests-secret-of-the-demo-client"

SignIn = Callable[[Page, str, bool], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ProviderInBrowser:
    """A running provider, and a person on its pages.

    ``sign_in`` takes a login and whether that person allowed our access already, in this very
    browser; ``confirm_sign_out`` says yes where the provider asks.
    """

    issuer: str
    sign_in: SignIn
    confirm_sign_out: Callable[[Page], Awaitable[None]]


def need_npm() -> None:
    """Fails the test, in one line, when npm's packages are not there."""
    if not NODE_MODULES.is_dir():
        pytest.fail("npm's oidc-provider is missing: 'make test' installs it", pytrace=False)


@asynccontextmanager
async def npm_provider(public_url: str) -> AsyncIterator[ProviderInBrowser]:
    """The certified one, on another site than the proxy: 127.0.0.1 is not localhost."""
    need_npm()
    config = node.NodeConfig(
        redirect_uris=(f"{public_url}/oauth2/callback",),
        post_logout_redirect_uris=(f"{public_url}/oauth2/signed_out",),
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )
    async with node.NodeProvider(config) as provider:
        yield ProviderInBrowser(provider.issuer, _sign_in_at_npm, node.sign_out_with_browser)


def several_providers(issuer: str) -> tuple[Provider, ...]:
    """The one at ``issuer`` under two names; the staff's addresses are of example.org."""
    client: dict[str, Any] = {
        "issuer_url": issuer,
        "client_id": CLIENT_ID,
        "client_secret": Secret(CLIENT_SECRET),
        "scope": "openid email profile groups",
    }
    return (
        Provider(name="staff", label="The staff", email_domains=("example.org",), **client),
        Provider(name="guests", label="The guests", **client),
    )


@asynccontextmanager
async def embedded_provider(
    public_url: str, port: int, people: tuple[User, ...] = ()
) -> AsyncIterator[ProviderInBrowser]:
    """The demo's own, where the demo has it: on localhost, another port. With its own people, and
    ``people``."""
    issuer = f"http://localhost:{port}"
    config = provider_config(issuer, public_url, CLIENT_SECRET)
    further = (f"{public_url}/oauth2/callback/{name}" for name in SEVERAL)
    clients = [
        replace(client, redirect_uris=(*client.redirect_uris, *further))
        for client in config.clients
    ]
    config = replace(config, clients=tuple(clients), users=(*config.users, *people))
    app = create_provider(config)
    async with listening(app, f"127.0.0.1:{port}"):
        yield ProviderInBrowser(issuer, _type_name, _nothing_to_confirm)


async def _sign_in_at_npm(page: Page, login: str, allowed: bool) -> None:
    await node.sign_in_with_browser(page, login, consent=not allowed)


async def _type_name(page: Page, login: str, allowed: bool) -> None:
    await page.get_by_label("Or type a name").fill(login)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def _nothing_to_confirm(page: Page) -> None:
    """The embedded provider asks nothing and redirects at once."""
