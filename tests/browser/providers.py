"""The two providers that the browser meets, and what a person does on the pages of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Page

from proxy.demo.provider import create_provider
from proxy.demo.run import CLIENT_ID, listening, provider_config
from tests.providers import node

NPM = "npm oidc-provider"
EMBEDDED = "embedded provider"
NODE_MODULES = node.HERE / "node_modules" / "oidc-provider"
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


@asynccontextmanager
async def embedded_provider(public_url: str, port: int) -> AsyncIterator[ProviderInBrowser]:
    """The demo's own, where the demo has it: on localhost, another port."""
    issuer = f"http://localhost:{port}"
    app = create_provider(provider_config(issuer, public_url, CLIENT_SECRET))
    async with listening(app, f"127.0.0.1:{port}"):
        yield ProviderInBrowser(issuer, _type_name, _nothing_to_confirm)


async def _sign_in_at_npm(page: Page, login: str, allowed: bool) -> None:
    await node.sign_in_with_browser(page, login, consent=not allowed)


async def _type_name(page: Page, login: str, allowed: bool) -> None:
    await page.get_by_label("Or type a name").fill(login)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def _nothing_to_confirm(page: Page) -> None:
    """The embedded provider asks nothing and redirects at once."""
